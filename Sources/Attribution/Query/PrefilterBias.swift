/// The influence that the choice of candidates has missed, estimated from a random sample of the other sequences.
///
/// The sample is scored as the candidates are. If a few sequences hold most of the influence, a sample without any of them estimates both
/// the missed influence and its standard error too low.
public struct PrefilterBias: Sendable, Equatable, Codable {
    /// How many sequences were drawn.
    public var sampled: Int
    /// How many sequences were not chosen.
    public var outside: Int
    /// The estimated sum of the scores above zero of all sequences that were not chosen, in nats, and its standard error.
    public var positiveOutside: Double
    public var positiveOutsideError: Double
    /// That sum as a share of all positive influence, inside and outside the choice; nil if there is none.
    public var missedShare: Double?
    /// The standard error of that share, which follows from that of the sum.
    public var missedShareError: Double?
    /// How many of the sample would have been among the returned sequences.
    public var wouldRank: Int
    /// The strongest of these, at most ``limit``.
    public var found: [Probe]

    public static let limit = 20

    /// A sequence that was not chosen, and would have been returned.
    public struct Probe: Sendable, Equatable, Codable {
        /// The rank that it would have had.
        public var rank: Int
        public var id: String
        public var source: String?
        public var score: Double
        /// The beginning of its text.
        public var text: String

        /// The most characters of a text.
        static let excerpt = 300
    }

    enum CodingKeys: String, CodingKey {
        case sampled, outside
        case positiveOutside = "positive_outside"
        case positiveOutsideError = "positive_outside_error"
        case missedShare = "missed_share"
        case missedShareError = "missed_share_error"
        case wouldRank = "would_rank"
        case found
    }

    /// Estimates from a simple random sample without replacement: the total is `N x̄`, its variance `N² s² / n (1 - n / N)`.
    ///
    /// - Parameters:
    ///   - sample: The scores of the `n` drawn sequences.
    ///   - outside: `N`, at least `n`.
    ///   - inside: The sum of the candidates' scores above zero.
    init(sample: [Double], outside: Int, inside: Double, wouldRank: Int, found: [Probe]) {
        let (count, all) = (Double(sample.count), Double(outside))
        let positive = sample.map { max($0, 0) }
        let mean = count > 0 ? positive.reduce(0, +) / count : 0
        let squares = positive.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let variance = count > 1 ? squares / (count - 1) : 0
        sampled = sample.count
        self.outside = outside
        positiveOutside = all * mean
        positiveOutsideError = count > 0 ? all * (variance / count * (1 - count / max(all, 1))).squareRoot() : 0
        let total = positiveOutside + inside
        missedShare = total > 0 ? positiveOutside / total : nil
        missedShareError = total > 0 ? inside / (total * total) * positiveOutsideError : nil
        self.wouldRank = wouldRank
        self.found = found
    }
}
