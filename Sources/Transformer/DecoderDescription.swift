/// What kind of decoder a model is: every number and option that its weights do not tell.
///
/// One description covers all families; a family is a way to read it from `config.json` and a table of tensor names. Whether a
/// norm stands before or behind a block's parts is told by which of them have a name.
public struct DecoderDescription: Sendable, Equatable {
    /// The family's name, as `model_type` in `config.json` has it.
    public var architecture: String
    public var vocabulary: Int
    /// The longest sequence the model can read, in tokens.
    public var contextLength: Int
    /// Width of the residual stream.
    public var width: Int
    public var layers: Int
    public var heads: Int
    /// Fewer than `heads` where groups of heads share keys and values.
    public var keyValueHeads: Int
    public var headWidth: Int
    public var feedForwardWidth: Int
    public var normalization: Normalization
    public var normalizationEpsilon: Float
    /// What is added to every stored gain: 1 where they are stored around zero.
    public var gainOffset: Float = 0
    public var position: Position
    public var feedForward: FeedForward
    public var attentionInput: AttentionInput
    public var attentionInputBias: Bool
    public var attentionOutputBias: Bool
    public var attention = AttentionOptions()
    public var feedForwardBias: Bool
    /// Whether a block's MLP reads what its attention reads, both adding to the residual stream, rather than what attention
    /// made of it.
    public var isParallel = false
    /// By what a token's embedding is multiplied.
    public var embeddingScale: Float = 1
    /// Whether the output head is the token embedding.
    public var isHeadTied: Bool
    public var headBias = false
    /// Logits are drawn smoothly into the range from minus this to this: `cap · tanh(x / cap)`.
    public var logitCap: Float?

    public enum Normalization: Sendable, Equatable {
        /// Mean and variance, with gain and bias.
        case layer
        /// Mean and variance alone.
        case layerWithoutParameters
        /// Root mean square, with gain.
        case rootMeanSquare

        var hasGain: Bool { self != .layerWithoutParameters }
        var hasBias: Bool { self == .layer }
    }

    public enum Position: Sendable, Equatable {
        case learned
        /// - Parameter windowed: Of the layers with an attention window, where it is another than that of the rest.
        case rotary(RotaryEmbedding, windowed: RotaryEmbedding? = nil)
    }

    public enum FeedForward: String, Sendable, Equatable {
        /// `down(gelu(up x))`, gelu in its tanh form.
        case geluTanh = "gelu_tanh"
        /// `down(gelu(up x))`, gelu in its exact form.
        case geluErf = "gelu_erf"
        /// `down(silu(gate x) · up x)`.
        case gatedSilu = "gated_silu"
        /// `down(gelu(gate x) · up x)`, gelu in its tanh form.
        case gatedGeluTanh = "gated_gelu_tanh"

        var isGated: Bool { self == .gatedSilu || self == .gatedGeluTanh }
    }

    public enum AttentionInput: Sendable, Equatable {
        /// One layer gives queries, keys and values side by side.
        case fused
        /// One layer gives each head's query, key and value side by side, head after head.
        case fusedByHead
        case separate
    }

    /// How attention departs from the softmax of `q·k / √head width` over all that came before.
    public struct AttentionOptions: Sendable, Equatable {
        /// By what scores are multiplied; `nil` for 1 / √head width.
        public var scale: Float?
        /// Scores are drawn smoothly into the range from minus this to this.
        public var scoreCap: Float?
        /// Queries, keys and values are cut to the range from minus this to this.
        public var projectionLimit: Float?
        /// Queries and keys are normalised.
        public var queryKeyNorm: QueryKeyNorm?
        /// For each layer, how many tokens it sees, its own counted; empty where all see everything.
        public var windows: [Int?] = []

        public init() {}
    }

    public enum QueryKeyNorm: String, Sendable, Equatable {
        /// Each head's vector by itself, all heads with one gain.
        case perHead = "per_head"
        /// The vectors of all heads as one.
        case wholeWidth = "whole_width"
    }

    var queryWidth: Int { heads * headWidth }
    var keyValueWidth: Int { keyValueHeads * headWidth }
    var projectedWidth: Int { queryWidth + 2 * keyValueWidth }

    /// Outputs of the layers that give queries, keys and values.
    var attentionInputWidths: [Int] {
        attentionInput == .separate ? [queryWidth, keyValueWidth, keyValueWidth] : [projectedWidth]
    }

    func window(ofLayer layer: Int) -> Int? {
        attention.windows.indices.contains(layer) ? attention.windows[layer] : nil
    }
}
