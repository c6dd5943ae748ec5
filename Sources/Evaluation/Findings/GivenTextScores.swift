/// Influence of texts of several kinds on queries.
public struct GivenTextScores: Sendable, Codable, Equatable {
    public var questions: [Question]
    /// One a kind, in the order in which they are first given.
    public var kinds: [Kind]

    public struct Question: Sendable, Codable, Equatable {
        public var query: EvaluationQuery
        public var texts: [Text]
    }

    public struct Text: Sendable, Codable, Equatable {
        public var kind: String
        public var text: String
        /// In nats, not divided by the number of sequences.
        public var score: Double
    }

    public struct Kind: Sendable, Codable, Equatable {
        public var kind: String
        /// Scores in relation to that of the question's first text; the mean over questions, the interval over questions drawn
        /// anew.
        public var relative: Estimate?
    }

    init(questions: [Question], seed: UInt64) {
        self.questions = questions
        var order: [String] = []
        for text in questions.flatMap(\.texts) where !order.contains(text.kind) { order.append(text.kind) }
        kinds = order.map { kind in
            let ratios = questions.flatMap { question -> [Double] in
                // In relation to nothing, or to what works against the completion, there is no ratio.
                guard let first = question.texts.first?.score, first > 0 else { return [] }
                return question.texts.filter { $0.kind == kind }.map { $0.score / first }
            }
            return Kind(kind: kind, relative: Bootstrap(seed: seed).mean(of: ratios))
        }
    }
}
