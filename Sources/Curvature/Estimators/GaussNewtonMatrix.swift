import LinearAlgebra
import Transformer

/// Multiplies by the Gauss-Newton matrix of a model's loss in its tracked parameters:
/// `G = mean over sequences of Σ Jᵀ (diag(p) - p pᵀ) J`, summed over the sequence's positions that carry loss.
///
/// EK-FAC approximates this matrix: its `Λ` is the diagonal of the same mean in the factors' eigenbasis, and has the same scale.
/// Products are Float32. Each worker sums the products of its micro-batches in Float32, and the workers' sums are added in the workers'
/// order. The same number of workers therefore gives the same product bit for bit.
public struct GaussNewtonMatrix: Sendable {
    public let decoder: DecoderModel
    public let tracked: TrackedLayers
    let source: FactorFit.Source
    private let workers: Workers
    /// The most tokens of a micro-batch, which has at least one sequence.
    private let batchTokens: Int
    /// A pool, as several products can be formed at a time.
    private let passes = SparePool { Passes() }

    private struct Passes: Sendable {
        var workspace = DecoderWorkspace()
        var tangents = TangentWorkspace()
        var taps: [GradientSumTap] = []

        mutating func prepare(_ count: Int, _ tracked: TrackedLayers) {
            if taps.count > count { taps.removeLast(taps.count - count) }
            for index in taps.indices { taps[index].sum.reset() }
            while taps.count < count { taps.append(GradientSumTap(tracked)) }
        }
    }

    /// The amount of data that was run through the model.
    package struct Work: Sendable {
        package var sequences: Int
        package var tokens: Int

        package init(sequences: Int, tokens: Int) {
            self.sequences = sequences
            self.tokens = tokens
        }
    }

    public init(
        decoder: DecoderModel, tracked: TrackedLayers, source: FactorFit.Source, workers: Workers = Workers(),
        batchTokens: Int = 1_024
    ) {
        self.decoder = decoder
        self.tracked = tracked
        self.source = source
        self.workers = workers
        self.batchTokens = batchTokens
    }

    /// The number of sequences in the source.
    public var count: Int { source.count }

    /// `G v` of each vector, where G is the mean over some sequences.
    ///
    /// - Parameter sequences: At least one, by their index in the source; all by default.
    public func products(
        of vectors: [ParameterVector], over sequences: [Int]? = nil, control: WorkControl<WorkProgress> = WorkControl()
    ) throws -> [ParameterVector] {
        try products(of: vectors, over: sequences ?? Array(0..<count), control: control).vectors
    }

    package func products(
        of vectors: [ParameterVector], over sequences: [Int], control: WorkControl<WorkProgress>
    ) throws -> (vectors: [ParameterVector], work: Work) {
        guard !sequences.isEmpty else { throw SolveError.noSequences }
        let batches = try batches(of: sequences) { _ in .nextTokens }
        let partials = try workers.run { worker in
            try passes.withState { passes in
                passes.prepare(vectors.count, tracked)
                for index in stride(from: worker, to: batches.count, by: workers.count) {
                    try control.step()
                    decoder.runGaussNewton(
                        batches[index], along: vectors, in: &passes.workspace, &passes.tangents, tracked: tracked,
                        taps: &passes.taps)
                }
                return passes.taps.map(\.sum)
            }
        }
        var sums = partials[0]
        for partial in partials.dropFirst() {
            for place in sums.indices { sums[place].add(partial[place]) }
        }
        for place in sums.indices {
            sums[place].scale(by: 1 / Double(sequences.count))
            guard sums[place].isFinite else { throw SolveError.notFinite }
        }
        let tokens = batches.reduce(0) { $0 + $1.tokens.count }
        return (sums, Work(sequences: sequences.count * vectors.count, tokens: tokens * vectors.count))
    }

    /// Runs sequences forward and backward, each worker with a tap of its own, and returns the taps in the workers' order.
    package func run<Tap: GradientTap & Sendable>(
        _ sequences: [Int], control: WorkControl<WorkProgress>, labels: (Int) -> TokenBatch.Labels,
        tap: @Sendable () -> Tap
    ) throws -> [Tap] {
        let batches = try batches(of: sequences, labels: labels)
        return try workers.run { worker in
            try passes.withState { passes in
                var tap = tap()
                for index in stride(from: worker, to: batches.count, by: workers.count) {
                    try control.step()
                    decoder.run(batches[index], in: &passes.workspace, tracked: tracked, tap: &tap)
                }
                return tap
            }
        }
    }

    package func batches(of sequences: [Int], labels: (Int) -> TokenBatch.Labels) throws -> [TokenBatch] {
        var batches: [TokenBatch] = []
        var batch = TokenBatch()
        for sequence in sequences {
            for own in try source.sequences(sequence..<(sequence + 1)) {
                if !batch.tokens.isEmpty, batch.tokens.count + own.count > batchTokens {
                    batches.append(batch)
                    batch = TokenBatch()
                }
                batch.append(own, labels: labels(sequence))
            }
        }
        if !batch.tokens.isEmpty { batches.append(batch) }
        return batches
    }
}
