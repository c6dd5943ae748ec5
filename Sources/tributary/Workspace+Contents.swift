import Attribution
import Corpus
import Curvature
import LinearAlgebra
import Transformer

/// What questions are asked of.
struct WorkspaceContents: Sendable {
    let checkpoint: Checkpoint
    let corpus: CorpusStore
    let factors: EKFACFactors
}

extension Workspace {
    /// Loads model, corpus and factors, showing on the terminal what takes long.
    ///
    /// - Parameter fitting: Whether factors are fitted where there are none; those of the embedded model always are.
    func openContents(fitting: Bool, workers: Workers, interruption: Interruption) throws -> WorkspaceContents {
        let checkpoint = try loadModel()
        let corpus = try openCorpus(
            for: checkpoint, display: { ProgressLine($0) }, isCancelled: interruption.question)
        let wereThere = FactorFile.exists(at: factorsFolder)
        let factors = try openFactors(
            for: checkpoint, on: corpus, fitting: fitting, workers: workers, display: { ProgressLine($0) },
            isCancelled: interruption.question)
        if !wereThere, let warning = factors.warning { printError("tributary: warning: \(warning)") }
        return WorkspaceContents(checkpoint: checkpoint, corpus: corpus, factors: factors)
    }

    /// The gradient index, if there is one that can be used.
    func openIndex(for checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore) throws -> IndexAvailability {
        do {
            return .ready(
                try GradientIndex(path: indexFile, modelDigest: checkpoint.digest, factors: factors, corpus: corpus))
        } catch GradientIndexError.missing {
            return .missing
        } catch let error as GradientIndexError {
            return .unusable(error)
        }
    }

    /// The engine of all that is open, with the gradient index.
    func makeEngine(
        _ checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore, precision: SweepPrecision,
        workers: Workers
    ) throws -> InfluenceEngine {
        try precision.checkProcessor()
        return InfluenceEngine(
            name: model.name, checkpoint: checkpoint, factors: factors, corpus: corpus,
            index: try openIndex(for: checkpoint, factors: factors, corpus: corpus), precision: precision,
            workers: workers)
    }
}
