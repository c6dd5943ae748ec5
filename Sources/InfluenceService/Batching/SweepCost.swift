import Attribution
import Foundation

/// What a sweep for some queries is expected to cost, in sequences run through the model and in memory.
struct SweepCost: Sendable, Equatable {
    /// Candidates of all queries, each query's own.
    private(set) var candidates = 0
    /// Candidates that are scored again.
    private(set) var rescored = 0
    /// Sequences that are run in search of queries' inverse products, before any is swept.
    private(set) var solved = 0
    private(set) var queries = 0
    /// Memory of the queries' gradients.
    private(set) var keptBytes = 0
    /// Memory of them as they are compared with candidates.
    private(set) var comparedBytes = 0
    /// Memory of the gradients of those queries whose candidates are scored again in full.
    private(set) var fullGradientBytes = 0
    /// Memory of the results.
    private(set) var resultBytes = 0
    /// A sweep runs each sequence once, however many queries it is a candidate of.
    let corpusSequences: Int
    private let shape: SweepShape

    /// What a score takes while a sweep runs, at most: 24 bytes in the sweep's table and 32 in its query's ranking, with half as much again
    /// while that is sorted; 8 in the query's list of candidates, and as many for the candidate's place and for the pair where queries
    /// want different candidates.
    static let bytesPerScore = 96
    /// What a candidate takes besides, however many queries it has.
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
            // Two forward passes and a tangent pass, where scoring is a forward pass and half a backward pass.
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

    /// What it takes in memory, beside what the engine has anyway.
    var bytes: Int {
        scores * Self.bytesPerScore + swept * Self.bytesPerCandidate + gradientBytes + resultBytes
    }

    /// Memory of the queries' gradients in the sweep, or when the first candidates are scored again, whichever is more.
    var gradientBytes: Int {
        // Queries are scored again in groups, of which the engine says how large they are.
        let group = min(fullGradientBytes, max(shape.fullGradientBytes, InfluenceEngine.fullRankBytes))
        return keptBytes + max(comparedBytes + shape.wholeBytes(of: queries), group)
    }

    /// The sequences that are left when a sweep has come so far.
    func left(at progress: InfluenceProgress?) -> Int {
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

/// The sizes of the engine's model and corpus by which the memory that a sweep takes is estimated.
struct SweepShape: Sendable, Equatable {
    /// The most tokens of a query.
    var contextLength = 0
    /// Tokens of a sequence of the corpus, on average.
    var sequenceTokens = 0
    /// Inputs and outputs of each tracked layer.
    var layers: [ModelSummary.Layer] = []
    var workers = ProcessInfo.processInfo.activeProcessorCount

    /// The most tokens of a micro-batch, but for a sequence that is longer.
    private static let batchTokens = 1_024

    init() {}

    init(_ model: ModelSummary) {
        contextLength = model.contextLength
        sequenceTokens = (model.corpus.tokens + model.corpus.sequences - 1) / max(model.corpus.sequences, 1)
        layers = model.trackedLayers
    }

    private static let float = MemoryLayout<Float>.stride

    /// A gradient of all tracked layers, written out.
    var fullGradientBytes: Int { layers.reduce(0) { $0 + $1.inputs * $1.outputs } * Self.float }

    /// A query's gradient as it is kept, thin factors with a row per token, with its product with the inverse curvature where an
    /// iteration finds that.
    func keptBytes(of query: InfluenceQuery) -> Int {
        // A token has at least one byte; one more token may stand in front of the text.
        let completions = [query.completion, query.contrast].compactMap(\.self)
        let tokens = completions.reduce(0) { $0 + min(contextLength, query.prompt.utf8.count + $1.utf8.count + 1) }
        let thin = layers.reduce(0) { $0 + tokens * ($1.inputs + $1.outputs) } * Self.float
        return thin + (query.estimator == .astra ? fullGradientBytes : 0)
    }

    /// A query's preconditioned gradient as it is found and as it is arranged with those of others, and what workers have of its products
    /// with a micro-batch. The whole matrices of ``wholeBytes(of:)`` come on top.
    func comparedBytes(of query: InfluenceQuery) -> Int {
        guard case .limited(let rank) = query.rank else { return fullGradientBytes + scratchBytes(width: 0) }
        let values = layers.reduce(0) { $0 + min(rank, $1.inputs, $1.outputs) * ($1.inputs + $1.outputs) }
        let width = layers.reduce(0) { max($0, min(rank, $1.inputs, $1.outputs)) }
        return 2 * values * Self.float + scratchBytes(width: width)
    }

    /// What queries take where all are multiplied out, which is done as long as they do not take too much.
    func wholeBytes(of queries: Int) -> Int { min(queries * fullGradientBytes, InfluenceEngine.wholeQueryBytes) }

    /// Products of a micro-batch's tokens with a query's factors of a width on both sides, and two sums of scores.
    private func scratchBytes(width: Int) -> Int {
        workers * max(Self.batchTokens, contextLength)
            * (2 * width * Self.float + 2 * MemoryLayout<Double>.stride)
    }

    /// What a query's result takes, as values and as JSON together.
    ///
    /// - Parameter sequences: How many it has.
    func resultBytes(of query: InfluenceQuery, sequences: Int) -> Int {
        // Both forms of a text of about five bytes per token, of the id and the metadata; both forms of a score with its token's text
        // or its layer's name.
        let text = 2_048 + 12 * sequenceTokens
        let tokens = (query.attribution.tokens ? 1 : 0) + (query.attribution.outputTokens ? 1 : 0)
        let scores = 80 * tokens * sequenceTokens + (query.attribution.layers ? 136 * layers.count : 0)
        return sequences * (text + scores)
    }
}
