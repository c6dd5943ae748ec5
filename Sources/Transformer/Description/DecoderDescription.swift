/// The architecture of a decoder: every number and option that its weights do not determine.
///
/// One type describes all families. A family reads it from `config.json` and has a table of tensor names. Whether norms come before or
/// after the parts of a block follows from the names that the table has.
public struct DecoderDescription: Sendable, Equatable {
    /// The family's name: `model_type` in `config.json`.
    public var architecture: String
    public var vocabulary: Int
    /// The longest sequence the model can read, in tokens.
    public var contextLength: Int
    /// The width of the residual stream.
    public var width: Int
    public var layers: Int
    public var heads: Int
    /// Fewer than `heads` if groups of heads share keys and values.
    public var keyValueHeads: Int
    public var headWidth: Int
    public var feedForwardWidth: Int
    public var normalization: NormalizationKind
    public var normalizationEpsilon: Float
    /// The number that is added to every stored gain: 1 for families that store gains around zero.
    public var gainOffset: Float = 0
    public var position: Position
    public var feedForward: FeedForwardKind
    public var attentionInput: AttentionInput
    public var attentionInputBias: Bool
    public var attentionOutputBias: Bool
    public var attention = AttentionOptions()
    public var feedForwardBias: Bool
    /// The mixtures of experts, if blocks have them in place of a single MLP.
    public var experts: Experts?
    /// Whether a block's MLP reads the residual stream before attention rather than after it.
    public var isParallel = false
    /// The factor by which a token's embedding is multiplied.
    public var embeddingScale: Float = 1
    /// Whether the output head is the token embedding.
    public var isHeadTied: Bool
    public var headBias = false
    /// A soft limit on the magnitude of logits: `cap · tanh(x / cap)`.
    public var logitCap: Float?

    public enum NormalizationKind: Sendable, Equatable {
        /// Mean and variance, with gain and bias.
        case layer
        /// Mean and variance, without parameters.
        case layerWithoutParameters
        /// Root mean square, with gain.
        case rootMeanSquare

        var hasGain: Bool { self != .layerWithoutParameters }
        var hasBias: Bool { self == .layer }
    }

    public enum Position: Sendable, Equatable {
        case learned
        /// - Parameter windowed: The embedding of layers with an attention window, if it differs from that of the other layers.
        case rotary(RotaryEmbedding, windowed: RotaryEmbedding? = nil)
    }

    public enum FeedForwardKind: String, Sendable, Equatable {
        /// `down(gelu(up x))`, gelu in its tanh form.
        case geluTanh = "gelu_tanh"
        /// `down(gelu(up x))`, gelu in its exact form.
        case geluErf = "gelu_erf"
        /// `down(silu(gate x) · up x)`.
        case gatedSilu = "gated_silu"
        /// `down(gelu(gate x) · up x)`, gelu in its tanh form.
        case gatedGeluTanh = "gated_gelu_tanh"
    }

    /// The mixtures of experts of a model's blocks.
    public struct Experts: Sendable, Equatable {
        /// The number of experts of a block, without the shared one.
        public var count: Int
        /// The number of experts that a token goes to.
        public var perToken: Int
        /// The inner width of an expert.
        public var width: Int
        /// Whether the factors of a token's experts sum to 1.
        public var renormalizes: Bool
        /// The inner width of the expert that all tokens share; nil if there is none.
        public var sharedWidth: Int?
        /// The blocks that have a single MLP.
        public var denseBlocks: Set<Int> = []
    }

    public enum AttentionInput: Sendable, Equatable {
        /// The outputs of one layer are queries, keys and values side by side.
        case fused
        /// The outputs of one layer are each head's query, key and value side by side, head after head.
        case fusedByHead
        case separate
    }

    /// Differences from attention with a softmax of `q·k / √head width` over all earlier tokens.
    public struct AttentionOptions: Sendable, Equatable {
        /// The factor by which scores are multiplied; nil for 1 / √head width.
        public var scale: Float?
        /// A soft limit on the magnitude of scores.
        public var scoreCap: Float?
        /// Queries, keys and values are clamped to this magnitude.
        public var projectionLimit: Float?
        /// How queries and keys are normalised, if they are.
        public var queryKeyNorm: QueryKeyNorm?
        /// For each layer, the number of tokens that it sees, including the current one; empty if all layers see everything.
        public var windows: [Int?] = []

        public init() {}
    }

    public enum QueryKeyNorm: String, Sendable, Equatable {
        /// Each head's vector separately; all heads share one gain.
        case perHead = "per_head"
        /// The vectors of all heads as one vector.
        case wholeWidth = "whole_width"
    }

    var queryWidth: Int { heads * headWidth }
    var keyValueWidth: Int { keyValueHeads * headWidth }
    var projectedWidth: Int { queryWidth + 2 * keyValueWidth }

    /// The output widths of the layers that compute queries, keys and values.
    var attentionInputWidths: [Int] {
        attentionInput == .separate ? [queryWidth, keyValueWidth, keyValueWidth] : [projectedWidth]
    }

    /// The experts of a block; nil if it has a single MLP.
    func experts(ofBlock block: Int) -> Experts? {
        experts.flatMap { $0.denseBlocks.contains(block) ? nil : $0 }
    }

    func window(ofLayer layer: Int) -> Int? {
        attention.windows.indices.contains(layer) ? attention.windows[layer] : nil
    }
}

/// Rotary position embedding (Su et al. 2021): each pair (i, i + half) of a head's entries is rotated by position · frequency i.
public struct RotaryEmbedding: Sendable, Equatable {
    public var base: Double
    /// The number of a head's first entries that are rotated; it is even.
    public var width: Int
    public var scaling: Scaling

    /// How frequencies were changed to reach a longer context than the model was first trained with.
    public enum Scaling: Sendable, Equatable {
        case none
        /// Divides all frequencies by one factor (Chen et al. 2023).
        case linear(factor: Double)
        /// Divides the frequencies of long waves by the factor, keeps those of short waves, and blends those between (Llama 3.1).
        ///
        /// A wave is short if it fits more than `highFrequencyFactor` times into the original context, and long if it fits less
        /// than `lowFrequencyFactor` times.
        case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    }

    public init(base: Double, width: Int, scaling: Scaling = .none) {
        self.base = base
        self.width = width
        self.scaling = scaling
    }
}
