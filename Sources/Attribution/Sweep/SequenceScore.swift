/// A sequence's influence on one query's completion.
///
/// A sweep holds one score per pair of a candidate and a query, so that a score must be small: 24 bytes in an array.
public struct SequenceScore: Sendable, Equatable {
    /// In nats. If positive, training on the sequence makes the completion likelier. Not finite if the model's activations or gradients
    /// leave the range of Float32 on the sequence: ``isFinite``.
    public let total: Double
    /// Nil if the score was not broken down, as most are not.
    private let breakdown: Breakdown?
    /// ``tokenConcentration``, or a negative number for nil. Float32 suffices for a value between 0 and 1 that is compared with a
    /// threshold.
    private let concentration: Float
    /// Whether the sequence was scored for the query. If not, the query did not want it or was cancelled, and all else here is empty.
    public let isScored: Bool

    private final class Breakdown: Sendable, Equatable {
        let layers: [Double]?
        let tokens: [Double]?

        init(layers: [Double]?, tokens: [Double]?) {
            self.layers = layers
            self.tokens = tokens
        }

        static func == (a: Breakdown, b: Breakdown) -> Bool { a.layers == b.layers && a.tokens == b.tokens }
    }

    /// The L2 norm of the token scores over their L1 norm: 1 if all influence is in one token. `nil` if the sequence was not
    /// scored token by token.
    public var tokenConcentration: Double? { concentration < 0 ? nil : Double(concentration) }
    /// The score through each tracked layer, if asked for.
    public var layers: [Double]? { breakdown?.layers }
    /// The score of each position, if asked for.
    public var tokens: [Double]? { breakdown?.tokens }

    static let unscored = SequenceScore(total: 0, breakdown: nil, concentration: -1, isScored: false)

    /// Whether the score can be ranked and summed. A score that is not finite is final all the same.
    public var isFinite: Bool { total.isFinite }

    init(total: Double, tokenConcentration: Double?, layers: [Double]?, tokens: [Double]?) {
        self.init(
            total: total, breakdown: layers == nil && tokens == nil ? nil : Breakdown(layers: layers, tokens: tokens),
            concentration: tokenConcentration.map { Float($0) } ?? -1, isScored: true)
    }

    init(tokens: [Double], keepingTokens: Bool, layers: [Double]?) {
        let absolute = tokens.reduce(0) { $0 + abs($1) }
        let squares = tokens.reduce(0) { $0 + $1 * $1 }
        self.init(
            total: tokens.reduce(0, +), tokenConcentration: absolute > 0 ? squares.squareRoot() / absolute : 0,
            layers: layers, tokens: keepingTokens ? tokens : nil)
    }

    private init(total: Double, breakdown: Breakdown?, concentration: Float, isScored: Bool) {
        self.total = total
        self.breakdown = breakdown
        self.concentration = concentration
        self.isScored = isScored
    }

    /// Whether the score is likely an artefact, as nearly all of it is in one token (Grosse et al. 2023, section 5.3).
    public var isSpurious: Bool { (tokenConcentration ?? 0) > 2.0 / 3 }
}
