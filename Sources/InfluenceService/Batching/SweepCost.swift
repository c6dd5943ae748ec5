import Attribution
import Foundation

/// The estimated cost of a sweep for some queries: how many sequences run through the model, and how much memory it takes.
struct SweepCost: Sendable, Equatable {
    /// The candidates of all queries; one that several queries share counts for each.
    private(set) var candidates = 0
    /// Candidates that are scored again.
    private(set) var rescored = 0
    /// Sequences that iterations for the queries' inverse products run before the sweep.
    private(set) var solved = 0
    private(set) var queries = 0
    /// Memory of the queries' gradients.
    private(set) var keptBytes = 0
    /// Memory of these gradients in the form in which they are compared with candidates.
    private(set) var comparedBytes = 0
    /// Memory of the uncompressed gradients of queries whose candidates are scored again.
    private(set) var fullGradientBytes = 0
    /// Memory of the results.
    private(set) var resultBytes = 0
    /// A sweep runs each sequence once, however many queries it is a candidate of.
    let corpusSequences: Int
    private let shape: SweepShape

    /// The most memory of a score during a sweep: 24 bytes in the sweep's table and 32 in its query's ranking, plus half of that while the
    /// ranking is sorted; 8 in the query's list of candidates, and 8 each for the candidate's index and for the pair if queries have
    /// different candidates.
    static let bytesPerScore = 96
    /// Further memory of a candidate, independent of the number of its queries.
    static let bytesPerCandidate = 256

    init(corpusSequences: Int, shape: SweepShape = SweepShape()) {
        self.corpusSequences = max(corpusSequences, 1)
        self.shape = shape
    }

    init(of queries: some Sequence<InfluenceQuery>, corpusSequences: Int, shape: SweepShape = SweepShape()) {
        self.init(corpusSequences: corpusSequences, shape: shape)
        for query in queries { add(query) }
    }

    mutating func add(_ query: InfluenceQuery) {
        let selection = query.candidates
        let asked =
            switch (selection.texts ?? selection.ids, selection.prefilter) {
            case (let named?, _): named.count
            case (nil, .tfidf), (nil, .index), (nil, .both): selection.limit
            case (nil, .all): corpusSequences
            }
        let own = min(asked, corpusSequences)
        let directions = query.direction == .both ? 2 : 1
        candidates += min(own + (selection.probe ?? 0), corpusSequences)
        rescored += selection.texts != nil ? own : min(own, directions * query.rescore)
        if query.attribution.outputTokens {
            // Two forward passes and a tangent pass; scoring takes a forward pass and half a backward pass.
            rescored += 2 * (selection.texts != nil ? own : min(own, directions * query.topK))
        }
        solved += query.estimator.sequences(ofCorpus: corpusSequences)
        keptBytes += shape.keptBytes(of: query)
        comparedBytes += shape.comparedBytes(of: query)
        if query.rescore > 0 || selection.texts != nil { fullGradientBytes += shape.fullGradientBytes }
        resultBytes += shape.resultBytes(
            of: query, sequences: selection.texts != nil ? own : min(own, directions * query.topK))
        queries += 1
    }

    mutating func add(_ other: SweepCost) {
        candidates += other.candidates
        rescored += other.rescored
        solved += other.solved
        keptBytes += other.keptBytes
        comparedBytes += other.comparedBytes
        fullGradientBytes += other.fullGradientBytes
        resultBytes += other.resultBytes
        queries += other.queries
    }

    /// Sequences of the first pass, at most.
    var swept: Int { min(candidates, corpusSequences) }

    /// Sequences of all passes.
    var sequences: Int { solved + swept + rescored }

    /// Scores that the sweep holds in memory.
    var scores: Int { swept * queries }

    /// Memory of the sweep, in addition to what the engine always holds.
    var bytes: Int {
        scores * Self.bytesPerScore + swept * Self.bytesPerCandidate + gradientBytes + resultBytes
    }

    /// Memory of the queries' gradients, in the sweep or when the best candidates are scored again, whichever is more.
    var gradientBytes: Int {
        // The engine scores queries again in groups, and limits their size.
        let group = min(fullGradientBytes, max(shape.fullGradientBytes, InfluenceEngine.fullRankBytes))
        return keptBytes + max(comparedBytes + shape.wholeBytes(of: queries), group)
    }

    /// How many sequences a sweep has still to run.
    func remaining(at progress: InfluenceProgress?) -> Int {
        guard let progress else { return sequences }
        let done = progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0
        switch progress.stage {
        case .gradients: return Int(Double(solved) * (1 - done)) + swept + rescored
        case .candidates: return swept + rescored
        case .sweep: return Int(Double(swept) * (1 - done)) + rescored
        case .rescore: return Int(Double(rescored) * (1 - done))
        }
    }
}

/// The sizes of the engine's model and corpus from which the memory of a sweep is estimated.
struct SweepShape: Sendable, Equatable {
    /// The most tokens of a query.
    var contextLength = 0
    /// The average tokens of a sequence of the corpus.
    var sequenceTokens = 0
    /// The tracked layers, for their inputs and outputs.
    var layers: [ModelSummary.Layer] = []
    var workers = ProcessInfo.processInfo.activeProcessorCount

    /// The most tokens of a micro-batch, except if a single sequence is longer.
    private static let batchTokens = 1_024

    init() {}

    init(_ model: ModelSummary) {
        contextLength = model.contextLength
        sequenceTokens = (model.corpus.tokens + model.corpus.sequences - 1) / max(model.corpus.sequences, 1)
        layers = model.trackedLayers
    }

    private static let float = MemoryLayout<Float>.stride

    /// Memory of a gradient of all tracked layers as full matrices.
    var fullGradientBytes: Int { layers.reduce(0) { $0 + $1.inputs * $1.outputs } * Self.float }

    /// Memory of a query's gradient, kept as thin factors with a row per token, and of its product with the inverse curvature if an
    /// iteration computes that.
    func keptBytes(of query: InfluenceQuery) -> Int {
        // A token has at least one byte; there can be one more token before the text.
        let completions = [query.completion, query.contrast].compactMap(\.self)
        let tokens = completions.reduce(0) { $0 + min(contextLength, query.prompt.utf8.count + $1.utf8.count + 1) }
        let thin = layers.reduce(0) { $0 + tokens * ($1.inputs + $1.outputs) } * Self.float
        return thin + (query.estimator == .astra ? fullGradientBytes : 0)
    }

    /// Memory of a query's preconditioned gradient, once by itself and once arranged with those of other queries, and of the workers'
    /// products of it with a micro-batch. The full matrices of ``wholeBytes(of:)`` are not included.
    func comparedBytes(of query: InfluenceQuery) -> Int {
        guard case .limited(let rank) = query.rank else { return fullGradientBytes + scratchBytes(width: 0) }
        let values = layers.reduce(0) { $0 + min(rank, $1.inputs, $1.outputs) * ($1.inputs + $1.outputs) }
        let width = layers.reduce(0) { max($0, min(rank, $1.inputs, $1.outputs)) }
        return 2 * values * Self.float + scratchBytes(width: width)
    }

    /// Memory of all queries as full matrices, which the engine forms up to a limit.
    func wholeBytes(of queries: Int) -> Int { min(queries * fullGradientBytes, InfluenceEngine.wholeQueryBytes) }

    /// Memory of the products of a micro-batch's tokens with a query's factors of this width on both sides, and of two sums of scores.
    private func scratchBytes(width: Int) -> Int {
        workers * max(Self.batchTokens, contextLength)
            * (2 * width * Self.float + 2 * MemoryLayout<Double>.stride)
    }

    /// Memory of a query's result, as values and as JSON together.
    ///
    /// - Parameter sequences: How many sequences the result has.
    func resultBytes(of query: InfluenceQuery, sequences: Int) -> Int {
        // Both forms of a text of about five bytes per token, of the id and of the metadata; both forms of a score with the text of its
        // token or the name of its layer.
        let text = 2_048 + 12 * sequenceTokens
        let tokens = (query.attribution.tokens ? 1 : 0) + (query.attribution.outputTokens ? 1 : 0)
        let scores = 80 * tokens * sequenceTokens + (query.attribution.layers ? 136 * layers.count : 0)
        return sequences * (text + scores)
    }
}
