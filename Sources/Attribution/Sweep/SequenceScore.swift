/// A sequence's influence on one query's completion.
///
/// A sweep holds one for each pair of a candidate and a query, so that most must be small: 24 bytes in a list.
public struct SequenceScore: Sendable, Equatable {
    /// In nats; positive: training on the sequence makes the completion likelier. Infinite, or not a number, where the model's
    /// activations or gradients leave the range of Float32 on the sequence: ``isFinite``.
    public let total: Double
    /// Nil for a score of which nothing but the total is known.
    private let details: Details?
    /// Whether the sequence was scored for the query. If not, because the query did not want it or was cancelled, there is nothing here.
    public let isScored: Bool

    /// What is known of a score that was found token by token, or broken down by layers.
    private final class Details: Sendable, Equatable {
        let tokenConcentration: Double?
        let layers: [Double]?
        let tokens: [Double]?

        init(tokenConcentration: Double?, layers: [Double]?, tokens: [Double]?) {
            self.tokenConcentration = tokenConcentration
            self.layers = layers
            self.tokens = tokens
        }

        static func == (a: Details, b: Details) -> Bool {
            a.tokenConcentration == b.tokenConcentration && a.layers == b.layers && a.tokens == b.tokens
        }
    }

    /// The L2 norm of the token scores over their L1 norm: 1 if all influence is in one token. `nil` if the sequence was not
    /// scored token by token.
    public var tokenConcentration: Double? { details?.tokenConcentration }
    /// Through each tracked layer, where asked for.
    public var layers: [Double]? { details?.layers }
    /// Of each position, where asked for.
    public var tokens: [Double]? { details?.tokens }

    /// Marks a pair of a query and a sequence that was not scored.
    static let unscored = SequenceScore(total: 0, details: nil, isScored: false)

    /// Whether the score is a number that can be ranked and summed. One that is not is as final as any other.
    public var isFinite: Bool { total.isFinite }

    init(total: Double, tokenConcentration: Double?, layers: [Double]?, tokens: [Double]?) {
        let hasDetails = tokenConcentration != nil || layers != nil || tokens != nil
        self.init(
            total: total,
            details: hasDetails
                ? Details(tokenConcentration: tokenConcentration, layers: layers, tokens: tokens) : nil,
            isScored: true)
    }

    init(tokens: [Double], keepingTokens: Bool, layers: [Double]?) {
        let absolute = tokens.reduce(0) { $0 + abs($1) }
        let squares = tokens.reduce(0) { $0 + $1 * $1 }
        self.init(
            total: tokens.reduce(0, +), tokenConcentration: absolute > 0 ? squares.squareRoot() / absolute : 0,
            layers: layers, tokens: keepingTokens ? tokens : nil)
    }

    private init(total: Double, details: Details?, isScored: Bool) {
        self.total = total
        self.details = details
        self.isScored = isScored
    }

    /// Whether the score is likely an artefact: nearly all of it in one token (Grosse et al. 2023, section 5.3).
    public var isSpurious: Bool { (tokenConcentration ?? 0) > 2.0 / 3 }
}
