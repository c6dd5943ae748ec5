import Attribution
import Foundation

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
