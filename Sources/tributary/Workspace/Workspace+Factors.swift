import Corpus
import Curvature
import LinearAlgebra
import Transformer

struct FitSettings: Sendable {
    var fisher = FactorProvenance.Fisher.sampled
    var selection = LayerSelection.feedForward
    /// `nil` for all.
    var maximumSequences: Int?
    var seed: UInt64 = 0
    /// `nil` for whole covariances.
    var largestBlock: Int?
    var workers = Workers()

    /// The settings of a fit that only a query needs: on enough sequences for a first answer.
    static func brief(workers: Workers) -> FitSettings {
        FitSettings(maximumSequences: briefSequences, workers: workers)
    }

    static let briefSequences = 1_500
}

extension Workspace {
    /// Loads the factors, or fits missing ones if that is requested; missing factors of the embedded model are always fitted.
    ///
    /// - Throws: ``WorkspaceError/noFactors(folder:command:)``; ``FactorFileError`` for factors of another model; ``FitError``.
    func openFactors(
        for checkpoint: Checkpoint, on corpus: CorpusStore, fitting: Bool, workers: Workers, _ control: TerminalControl
    ) throws -> EKFACFactors {
        FactorFile.recover(at: factorsFolder)
        if FactorFile.exists(at: factorsFolder) {
            return try FactorFile.load(
                folder: factorsFolder, for: checkpoint.decoder, modelDigest: checkpoint.digest)
        }
        guard fitting || model == .embedded else {
            throw WorkspaceError.noFactors(
                folder: folder.path, command: "tributary fit\(model.option)\(folderOption)")
        }
        return try fitFactors(for: checkpoint, on: corpus, settings: .brief(workers: workers), control)
    }

    /// Fits factors, or continues an interrupted fit with the same settings, and replaces earlier factors.
    func fitFactors(
        for checkpoint: Checkpoint, on corpus: CorpusStore, settings: FitSettings, _ control: TerminalControl
    ) throws -> EKFACFactors {
        let rowids = try corpus.rowids()
        let source = FactorFit.Source(count: rowids.count, digest: try corpus.digest()) { range in
            try corpus.trainingSequences(rowids: Array(rowids[range]))
        }
        let fit = FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest, source: source, fisher: settings.fisher,
            selection: settings.selection, maximumSequences: settings.maximumSequences, seed: settings.seed,
            largestBlock: settings.largestBlock, workers: settings.workers)
        var stage: (kind: FactorFit.Stage, display: any ProgressDisplay)?
        do {
            let factors = try fit.run(
                into: factorsFolder, statePath: fitStateFile,
                progress: { progress in
                    if stage?.kind != progress.stage {
                        stage?.display.finish()
                        stage = (progress.stage, control.display(progress.stage.title))
                    }
                    stage?.display.update(progress.done, of: progress.total, unit: progress.stage.unit)
                },
                warn: { warning in (stage?.display ?? control.display("fitting factors")).warn("\(warning)") },
                isCancelled: control.isCancelled)
            stage?.display.finish()
            return factors
        } catch {
            stage?.display.abandon()
            throw error
        }
    }
}

extension FactorFit.Stage {
    fileprivate var title: String {
        switch self {
        case .covariances: "fitting factors, 1 of 3: covariances"
        case .eigendecomposition: "fitting factors, 2 of 3: eigenvectors"
        case .eigenvalues: "fitting factors, 3 of 3: eigenvalues"
        }
    }

    fileprivate var unit: String { self == .eigendecomposition ? "matrices" : "sequences" }
}
