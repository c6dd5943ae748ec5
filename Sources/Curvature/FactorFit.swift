import Files
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// Fits EK-FAC factors: covariances of activations and output gradients over the sequences, their eigenvectors, and then the
/// eigenvalues in that basis from one gradient per sequence (Grosse et al. 2023, section 2.2).
///
/// Each worker keeps its own sums over sequences, and at the end these are added in the workers' order. The same seed and number of workers
/// therefore give the same factors bit for bit, whether the fit was interrupted or not. Gradients are Float32 and their sums Float64
/// (``SymmetricAccumulator``, ``SquareAccumulator``), so that the size and order of micro-batches do not show in the result.
public struct FactorFit: Sendable {
    /// The sequences on which to fit, in an order that does not change.
    public struct Source: Sendable {
        public let count: Int
        /// A digest of the sequences.
        public let digest: String
        /// Reads some sequences, by their indices.
        public let sequences: @Sendable (Range<Int>) throws -> [TrainingSequence]

        public init(
            count: Int, digest: String, sequences: @escaping @Sendable (Range<Int>) throws -> [TrainingSequence]
        ) {
            self.count = count
            self.digest = digest
            self.sequences = sequences
        }
    }

    /// The allowed values of a fit's options.
    public enum Limits {
        public static let sequences = 1...1_000_000_000
        /// Smaller blocks would omit most of the curvature.
        public static let largestBlock = 16...1_048_576
        public static let seed = UInt64.min...UInt64.max
    }

    public enum Stage: String, Sendable, Codable, CaseIterable {
        case covariances, eigendecomposition, eigenvalues
    }

    public struct Progress: Sendable, Equatable {
        public let stage: Stage
        /// Sequences done, or matrices decomposed.
        public let done: Int
        public let total: Int
    }

    let decoder: DecoderModel
    let tracked: TrackedLayers
    let source: Source
    let identity: FactorProvenance
    let workers: Workers
    /// The most tokens of a micro-batch, which has at least one sequence.
    let batchTokens: Int
    private(set) var labels: @Sendable (_ stage: Stage, _ sequence: Int) -> TokenBatch.Labels
    /// Seconds between saved states.
    let saveInterval: Double

    /// The default for the most tokens of a micro-batch. The Float64 sums are updated once per micro-batch.
    public static let batchTokens = 1_024

    /// - Parameters:
    ///   - modelDigest: Recorded with the factors.
    ///   - maximumSequences: How many of the source's sequences are used, evenly spread over it; all by default.
    ///   - seed: The seed of sampled labels.
    ///   - largestBlock: The most rows of the diagonal blocks into which larger covariances are split (Grosse et al. 2023, appendix A).
    ///     Entries outside the blocks count as zero. `nil` leaves all covariances whole.
    public init(
        decoder: DecoderModel, modelDigest: String, source: Source, fisher: FactorProvenance.Fisher = .sampled,
        selection: LayerSelection = .feedForward, maximumSequences: Int? = nil, seed: UInt64 = 0,
        largestBlock: Int? = nil, workers: Workers = Workers(), batchTokens: Int = FactorFit.batchTokens,
        saveInterval: Double = 30
    ) {
        self.decoder = decoder
        tracked = TrackedLayers(of: decoder, selection)
        self.source = source.spread(over: maximumSequences)
        identity = FactorProvenance(
            fisher: fisher, model: modelDigest, corpus: source.digest, sequences: self.source.count, tokens: nil,
            seed: fisher == .sampled ? seed : nil, largestBlock: largestBlock, program: WritingProgram.signature)
        self.workers = workers
        self.batchTokens = batchTokens
        labels = { stage, sequence in
            switch fisher {
            case .empirical: .nextTokens
            // The two estimates are independent only if each pass draws its own labels.
            case .sampled: .sampled(seed: stage == .covariances ? seed : ~seed, key: UInt64(sequence))
            }
        }
        self.saveInterval = saveInterval
    }

    /// The same fit with other labels, such as ones that were drawn before.
    func with(labels: @escaping @Sendable (Stage, Int) -> TokenBatch.Labels) -> FactorFit {
        var fit = self
        fit.labels = labels
        return fit
    }

    /// The least time between two saves, as a multiple of the time that the first of them took.
    private static let timeBetweenSaves = 20.0

    /// Fits the factors and writes them to a folder.
    ///
    /// The state of the fit is removed only when the factors outlast a power failure, so that one of the two exists at any moment.
    ///
    /// - Parameters:
    ///   - folder: Where ``FactorFile`` writes the factors, in place of earlier ones.
    ///   - statePath: As in ``run(statePath:progress:warn:isCancelled:)``.
    /// - Throws: ``FitError``, or the error of reading the sequences.
    public func run(
        into folder: String, statePath: String, progress: (Progress) -> Void = { _ in },
        warn: (FitWarning) -> Void = { _ in }, isCancelled: () -> Bool = { false }
    ) throws -> EKFACFactors {
        var keeper = keeper(statePath)
        let factors = try run(&keeper, progress: progress, warn: warn, isCancelled: isCancelled)
        do {
            try FactorFile.write(factors, to: folder)
        } catch {
            throw FitError.factorsNotWritten(reason: "\(error)", statePath: keeper.isKept ? statePath : nil)
        }
        AtomicFile.remove(statePath)
        return factors
    }

    /// Fits the factors.
    ///
    /// - Parameters:
    ///   - statePath: Where the state of an interrupted fit is kept, and from where a fit resumes if the state is its own; nil keeps no
    ///     state. The state is not removed.
    ///   - warn: Receives one warning of each kind if a state cannot be saved or resumed from; the fit goes on.
    ///   - isCancelled: Asked every few micro-batches. If it returns true, the state is saved and the fit ends.
    /// - Throws: ``FitError``, or the error of reading the sequences.
    public func run(
        statePath: String? = nil, progress: (Progress) -> Void = { _ in },
        warn: (FitWarning) -> Void = { _ in }, isCancelled: () -> Bool = { false }
    ) throws -> EKFACFactors {
        var keeper = keeper(statePath)
        return try run(&keeper, progress: progress, warn: warn, isCancelled: isCancelled)
    }

    private func keeper(_ statePath: String?) -> FitStateKeeper {
        FitStateKeeper(
            statePath.map { FitState(path: $0, identity: identity, tracked: tracked, workers: workers.count) },
            factorBytes: FactorFile.byteCount(of: tracked, largestBlock: identity.largestBlock))
    }

    private func run(
        _ keeper: inout FitStateKeeper, progress: (Progress) -> Void, warn: (FitWarning) -> Void,
        isCancelled: () -> Bool
    ) throws -> EKFACFactors {
        guard source.count > 0 else { throw FitError.noSequences }
        let saved = keeper.load(warn: warn)

        var bases: [Eigenbasis]
        var eigenvalueTaps: [EigenvalueTap]
        var eigenvalueStart = 0
        if case .eigenvalues(let savedBases, let taps, let next) = saved {
            (bases, eigenvalueTaps, eigenvalueStart) = (savedBases, taps, next)
        } else {
            // Each worker makes its own tap: zeroing a large model's sums takes seconds.
            var taps = try workers.run { _ in CovarianceTap(tracked, largestBlock: identity.largestBlock) }
            var start = 0
            if case .covariances(let savedTaps, let next) = saved { (taps, start) = (savedTaps, next) }
            let covariances = try sweep(
                .covariances, taps: consume taps, from: start, progress: progress, isCancelled: isCancelled
            ) { taps, next, isLast in
                keeper.save({ $0.contents(covariances: taps, next: next) }, isLast: isLast, warn: warn)
            }
            bases = try decompose(merged(consume covariances) { $0.merge($1) }, progress: progress)
            let found = bases
            let empty = try workers.run { _ in EigenvalueTap(tracked, bases: found) }
            keeper.save({ $0.contents(bases: found, eigenvalues: empty, next: 0) }, isLast: false, warn: warn)
            eigenvalueTaps = consume empty
        }
        let found = bases
        let workerSums = try sweep(
            .eigenvalues, taps: consume eigenvalueTaps, from: eigenvalueStart, progress: progress,
            isCancelled: isCancelled
        ) { taps, next, isLast in
            keeper.save({ $0.contents(bases: found, eigenvalues: taps, next: next) }, isLast: isLast, warn: warn)
        }
        let sums = merged(consume workerSums) { $0.merge($1) }
        var provenance = identity
        provenance.tokens = sums.tokens
        let factors = EKFACFactors(
            tracked: tracked,
            layers: tracked.layers.map { layer in
                let basis = bases[layer.index]
                var factors = LayerFactors(
                    activationVectors: basis.activations.vectors, gradientVectors: basis.gradients.vectors,
                    activationValues: basis.activations.values, gradientValues: basis.gradients.values,
                    eigenvalues: sums.sums[layer.index].mean(over: Double(sums.sequences)))
                if layer.expert != nil { factors.tokens = sums.layerTokens[layer.index] }
                return factors
            },
            provenance: provenance)
        // The square of a finite gradient can leave the range of Float32.
        for (layer, own) in zip(tracked.layers, factors.layers) where !own.eigenvalues.isFinite {
            throw FitError.overflow(layer: layer.name)
        }
        return factors
    }

    /// Runs every remaining micro-batch through its worker's tap.
    ///
    /// - Parameters:
    ///   - taps: Consumed, as their sums are most of a fit's memory and must not be copied when they are added to.
    ///   - save: Saves the state, and returns the reason if it could not be saved. The state is the last one of this run if `isLast`.
    private func sweep<Tap: GradientTap & Sendable>(
        _ stage: Stage, taps: consuming [Tap], from start: Int, progress: (Progress) -> Void, isCancelled: () -> Bool,
        save: (_ taps: [Tap], _ next: Int, _ isLast: Bool) -> String?
    ) throws -> [Tap] {
        let slots = taps.indices.map { _ in WorkerSlot((workspace: DecoderWorkspace(), tap: taps.removeFirst())) }
        let batchesPerRound = 4
        var nextSave = Date(timeIntervalSinceNow: saveInterval)
        var next = start
        while next < source.count {
            progress(Progress(stage: stage, done: next, total: source.count))
            let (batches, end) = try round(stage, from: next, batches: batchesPerRound * workers.count)
            _ = try workers.run { worker in
                try slots[worker].withState { state in
                    for index in stride(from: worker, to: batches.count, by: slots.count) {
                        let losses = decoder.run(
                            batches[index], in: &state.workspace, tracked: tracked, tap: &state.tap)
                        guard losses.losses.allSatisfy(\.isFinite) else { throw FitError.notFinite }
                    }
                }
            }
            next = end
            let isInterrupted = isCancelled()
            let start = Date()
            var failure: String?
            if isInterrupted || start > nextSave {
                failure = save(slots.map { $0.withState { $0.tap } }, next, isInterrupted)
                // The interval starts at the end of a save, as writing a large model's sums takes seconds.
                let end = Date()
                nextSave = end + max(saveInterval, Self.timeBetweenSaves * end.timeIntervalSince(start))
            }
            if isInterrupted, let failure {
                throw FitError.interruptedUnsaved(stage: stage, done: next, total: source.count, reason: failure)
            }
            if isInterrupted { throw FitError.interrupted(stage: stage, done: next, total: source.count) }
        }
        progress(Progress(stage: stage, done: source.count, total: source.count))
        return slots.map { $0.withState { $0.tap } }
    }

    private func round(_ stage: Stage, from start: Int, batches count: Int) throws -> ([TokenBatch], end: Int) {
        var batches: [TokenBatch] = []
        var batch = TokenBatch()
        var next = start
        reading: while next < source.count {
            let end = min(next + 64, source.count)
            for sequence in try source.sequences(next..<end) {
                if !batch.tokens.isEmpty, batch.tokens.count + sequence.count > batchTokens {
                    batches.append(batch)
                    batch = TokenBatch()
                    if batches.count == count { break reading }
                }
                batch.append(sequence, labels: labels(stage, next))
                next += 1
            }
        }
        if !batch.tokens.isEmpty { batches.append(batch) }
        return (batches, next)
    }

    /// The eigendecompositions of all covariances, one per worker at a time.
    ///
    /// - Throws: ``FitError`` if all gradients were zero, so that there is no curvature to find. Those of single layers can be zero.
    private func decompose(_ covariances: CovarianceTap, progress: (Progress) -> Void) throws -> [Eigenbasis] {
        if covariances.gradients.allSatisfy(\.isZero) {
            throw covariances.tokens == covariances.sequences ? FitError.nothingToPredict : FitError.withoutGradients
        }
        let owners = covariances.activations.keys.sorted()
        let sums = owners.compactMap { covariances.activations[$0] } + covariances.gradients
        // The sums of an expert to which no token went are zero, whatever divides them.
        let counts = (owners.map { covariances.layerTokens[$0] } + covariances.layerTokens).map { Double(max($0, 1)) }
        let total = sums.count
        progress(Progress(stage: .eigendecomposition, done: 0, total: total))
        let slots = (0..<workers.count).map { _ in WorkerSlot((solver: SymmetricEigenSolver(), mean: [Double]())) }
        let decompositions = try workers.map(0..<total) { worker, index in
            try slots[worker].withState { state in
                BlockEigen(
                    try sums[index].blocks.enumerated().map { number, block in
                        sums[index].formMean(ofBlock: number, over: counts[index], into: &state.mean)
                        return try state.solver.decomposition(of: &state.mean, order: block.count)
                    })
            }
        }
        progress(Progress(stage: .eigendecomposition, done: total, total: total))
        let ownerPosition = Dictionary(uniqueKeysWithValues: zip(owners, 0...))
        return tracked.layers.compactMap { layer in
            guard let position = ownerPosition[layer.inputOwner] else { return nil }
            return Eigenbasis(
                activations: decompositions[position], gradients: decompositions[owners.count + layer.index])
        }
    }
}

extension FactorFit.Source {
    fileprivate func spread(over maximum: Int?) -> FactorFit.Source {
        guard let maximum, maximum < count, maximum > 0 else { return self }
        let all = self
        return FactorFit.Source(count: maximum, digest: digest) { range in
            try range.flatMap { index in
                let chosen = index * all.count / maximum
                return try all.sequences(chosen..<(chosen + 1))
            }
        }
    }
}

/// Adds all elements to the first, and frees each as soon as it is added.
private func merged<Element>(_ elements: consuming [Element], _ add: (inout Element, Element) -> Void) -> Element {
    var sum = elements.removeFirst()
    while !elements.isEmpty { add(&sum, elements.removeFirst()) }
    return sum
}

/// Why a fit ended without factors.
public enum FitError: Error, Equatable, CustomStringConvertible {
    case noSequences
    case notFinite
    /// Every sequence is a single token, so that there is nothing to predict.
    case nothingToPredict
    /// The loss depends on none of the tracked layers.
    case withoutGradients
    case overflow(layer: String)
    case interrupted(stage: FactorFit.Stage, done: Int, total: Int)
    /// The fit was interrupted, and its state could not be saved.
    case interruptedUnsaved(stage: FactorFit.Stage, done: Int, total: Int, reason: String)
    /// The factors are fitted but could not be written. The path is nil if there is no state either.
    case factorsNotWritten(reason: String, statePath: String?)

    public var description: String {
        switch self {
        case .noSequences: "the corpus has no sequences to fit on: import some first"
        case .notFinite: "the model's loss is not finite on a sequence of the corpus: its weights may be damaged"
        case .nothingToPredict:
            "no sequence of the corpus has a token to predict: expected texts of two tokens or more, found only texts of one. "
                + "Import longer texts"
        case .withoutGradients:
            "the model's loss on the corpus depends on none of the tracked layers: all their gradients are zero, so that there is "
                + "no curvature to fit. Track other layers with --track, or check the model's weights"
        case .overflow(let layer):
            "the squared gradients of layer \"\(layer)\" are too large for single precision: its weights may be damaged"
        case .interrupted(let stage, let done, let total):
            "interrupted in \(stage.rawValue) at \(done) of \(total); run the same command again to go on from there"
        case .interruptedUnsaved(let stage, let done, let total, let reason):
            """
            interrupted in \(stage.rawValue) at \(done) of \(total), and the state could not be saved: \(reason) The same command goes on \
            from an earlier state, if there is one
            """
        case .factorsNotWritten(let reason, let statePath):
            if let statePath {
                """
                the factors are fitted, and cannot be written: \(reason) The state of the fit is kept in \(statePath): when the \
                factors can be written, run the same command again to go on from there
                """
            } else {
                """
                the factors are fitted, and cannot be written: \(reason) No state of the fit could be saved either: when there is \
                space for both, fit again
                """
            }
        }
    }
}
