/// A sequence's influence on one query's completion.
public struct SequenceScore: Sendable, Equatable {
    /// In nats; positive: training on the sequence makes the completion likelier. Not a number where the query does not want the
    /// sequence.
    public let total: Double
    /// The L2 norm of the token scores over their L1 norm: 1 if all influence is in one token. `nil` if the sequence was not
    /// scored token by token.
    public let tokenConcentration: Double?
    /// Through each tracked layer, where asked for.
    public let layers: [Double]?
    /// Of each position, where asked for.
    public let tokens: [Double]?

    /// The score of a sequence that was passed over.
    static let zero = SequenceScore(total: 0, tokenConcentration: 0, layers: nil, tokens: nil)
    /// That of a pair that is not wanted.
    static let missing = SequenceScore(total: .nan, tokenConcentration: nil, layers: nil, tokens: nil)

    var isMissing: Bool { total.isNaN }

    init(total: Double, tokenConcentration: Double?, layers: [Double]?, tokens: [Double]?) {
        self.total = total
        self.tokenConcentration = tokenConcentration
        self.layers = layers
        self.tokens = tokens
    }

    init(tokens: [Double], keepingTokens: Bool, layers: [Double]?) {
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
