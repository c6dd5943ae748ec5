/// What kind of decoder a model is: every number and option that its weights do not tell.
///
/// One description covers all families; a family is a way to read it from `config.json` and a table of tensor names.
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
    public var position: Position
    public var feedForward: FeedForward
    public var attentionInput: AttentionInput
    public var attentionInputBias: Bool
    public var attentionOutputBias: Bool
    public var feedForwardBias: Bool
    /// Whether the output head is the token embedding.
    public var isHeadTied: Bool

    public enum Normalization: Sendable, Equatable {
        /// Mean and variance, with gain and bias.
        case layer
        /// Root mean square, with gain.
        case rootMeanSquare
    }

    public enum Position: Sendable, Equatable {
        case learned
        case rotary(base: Double)
    }

    public enum FeedForward: Sendable, Equatable {
        /// `down(gelu(up x))`, gelu in its tanh form.
        case gelu
        /// `down(silu(gate x) · up x)`.
        case gatedSilu
    }

    public enum AttentionInput: Sendable, Equatable {
        /// One layer gives queries, keys and values side by side.
        case fused
        case separate
    }

    var queryWidth: Int { heads * headWidth }
    var keyValueWidth: Int { keyValueHeads * headWidth }
    var projectedWidth: Int { queryWidth + 2 * keyValueWidth }
}
