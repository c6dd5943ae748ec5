import Attribution

/// What was found of the findings in a model.
public struct FindingsResult: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: InfluenceFindings.Settings
    public var queries: [Query]
    public var layers: [InfluenceByBlock]
    public var wordOrder: GivenTextScores
    public var register: GivenTextScores
    /// A row a model, this one's first.
    public var scale: [InfluenceAbstraction]
    public var seconds: Double

    public struct Query: Sendable, Codable, Equatable {
        public var kind: String
        public var query: EvaluationQuery
        /// Of the completion, in nats: a model that does not know an answer has not learned it from anything.
        public var logProbability: Double
        public var concentration: InfluenceConcentration
        /// Of the positive scores; nil where there are too few.
        public var tail: PowerLawTail?
        /// ``PowerLawTail/goodnessOfFit(of:samples:seed:)``: at most 0.1 where the tail is no power law.
        public var goodnessOfFit: Double?

        enum CodingKeys: String, CodingKey {
            case kind, query, concentration, tail
            case logProbability = "log_probability"
            case goodnessOfFit = "goodness_of_fit"
        }
    }

    enum CodingKeys: String, CodingKey {
        case subject, settings, queries, layers
        case wordOrder = "word_order"
        case register, scale, seconds
    }
}
