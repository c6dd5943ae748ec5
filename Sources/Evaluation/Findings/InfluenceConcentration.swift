/// How much of the positive influence on a query is that of few sequences.
public struct InfluenceConcentration: Sendable, Codable, Equatable {
    public var sequences: Int
    /// Sequences of positive influence.
    public var positive: Int
    public var shares: [Share]

    public struct Share: Sendable, Codable, Equatable {
        /// Of all sequences, those with the highest scores.
        public var top: Double
        /// How many these are.
        public var count: Int
        /// Their part in the sum of all positive scores.
        public var ofInfluence: Double

        enum CodingKeys: String, CodingKey {
            case top, count
            case ofInfluence = "of_influence"
        }
    }

    static let tops = [0.0001, 0.001, 0.01]

    /// - Parameter scores: Of all sequences.
    init(of scores: [Double]) {
        sequences = scores.count
        let positive = scores.filter { $0 > 0 }.sorted(by: >)
        self.positive = positive.count
        let total = positive.reduce(0, +)
        shares = Self.tops.map { top in
            let count = max(1, Int((top * Double(scores.count)).rounded()))
            let sum = positive.prefix(count).reduce(0, +)
            return Share(top: top, count: count, ofInfluence: total > 0 ? sum / total : 0)
        }
    }
}
