import Attribution

/// The sizes of the engine's model and corpus by which the memory that a sweep takes is estimated.
struct SweepShape: Sendable, Equatable {
    /// The most tokens of a query.
    var contextLength = 0
    /// Tokens of a sequence of the corpus, on average.
    var sequenceTokens = 0
    /// Inputs and outputs of each tracked layer.
    var layers: [ModelSummary.Layer] = []

    init() {}

    init(_ model: ModelSummary) {
        contextLength = model.contextLength
        sequenceTokens = (model.corpus.tokens + model.corpus.sequences - 1) / max(model.corpus.sequences, 1)
        layers = model.trackedLayers
    }

    private static let float = MemoryLayout<Float>.stride

    /// A gradient of all tracked layers, written out.
    var fullGradientBytes: Int { layers.reduce(0) { $0 + $1.inputs * $1.outputs } * Self.float }

    /// A query's gradient as it is kept, thin factors with a row per token, and as it is compared with candidates.
    func gradientBytes(of query: InfluenceQuery) -> Int {
        // A token has at least one byte; one more token may stand in front of the text.
        let completions = [query.completion, query.contrast].compactMap(\.self)
        let tokens = completions.reduce(0) { $0 + min(contextLength, query.prompt.utf8.count + $1.utf8.count + 1) }
        let thin = layers.reduce(0) { $0 + tokens * ($1.inputs + $1.outputs) }
        let compared = layers.reduce(0) { sum, layer in
            switch query.rank {
            case .full: sum + layer.inputs * layer.outputs
            case .limited(let rank):
                sum + min(rank, layer.inputs, layer.outputs) * (layer.inputs + layer.outputs)
            }
        }
        return (thin + compared) * Self.float + (query.estimator == .astra ? fullGradientBytes : 0)
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
