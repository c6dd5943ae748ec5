/// A sequence's influence on one query's completion.
public struct SequenceScore: Sendable, Equatable {
    /// Whether the sequence was scored for the query. If not, because the query did not want it or was cancelled, there is nothing here.
    public let isScored: Bool
    /// In nats; positive: training on the sequence makes the completion likelier. Infinite, or not a number, where the model's
    /// activations or gradients leave the range of Float32 on the sequence: ``isFinite``.
    public let total: Double
    /// The L2 norm of the token scores over their L1 norm: 1 if all influence is in one token. `nil` if the sequence was not
    /// scored token by token.
    public let tokenConcentration: Double?
    /// Through each tracked layer, where asked for.
    public let layers: [Double]?
    /// Of each position, where asked for.
    public let tokens: [Double]?

    /// Marks a pair of a query and a sequence that was not scored.
    static let unscored = SequenceScore(isScored: false, total: 0, tokenConcentration: nil, layers: nil, tokens: nil)

    /// Whether the score is a number that can be ranked and summed. One that is not is as final as any other.
    public var isFinite: Bool { total.isFinite }

    init(total: Double, tokenConcentration: Double?, layers: [Double]?, tokens: [Double]?) {
        self.init(
            isScored: true, total: total, tokenConcentration: tokenConcentration, layers: layers, tokens: tokens)
    }

    private init(isScored: Bool, total: Double, tokenConcentration: Double?, layers: [Double]?, tokens: [Double]?) {
        self.isScored = isScored
        self.total = total
        self.tokenConcentration = tokenConcentration
        self.layers = layers
        self.tokens = tokens
    }

    init(tokens: [Double], keepingTokens: Bool, layers: [Double]?) {
        isScored = true
        total = tokens.reduce(0, +)
        let absolute = tokens.reduce(0) { $0 + abs($1) }
        let squares = tokens.reduce(0) { $0 + $1 * $1 }
        tokenConcentration = absolute > 0 ? squares.squareRoot() / absolute : 0
        self.tokens = keepingTokens ? tokens : nil
        self.layers = layers
    }

    /// Whether the score is likely an artefact: nearly all of it in one token (Grosse et al. 2023, section 5.3).
    public var isSpurious: Bool { (tokenConcentration ?? 0) > 2.0 / 3 }
}
