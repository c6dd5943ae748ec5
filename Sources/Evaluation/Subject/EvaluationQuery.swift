/// A question of an evaluation: how likely is this completion of this prompt?
public struct EvaluationQuery: Sendable, Codable, Equatable {
    public var prompt: String
    public var completion: String

    public init(prompt: String, completion: String) {
        self.prompt = prompt
        self.completion = completion
    }
}

extension EvaluationQuery {
    /// What names the query in a table: its end, where it is long.
    var label: String {
        let text = prompt + completion
        return text.count <= 60 ? text : "…" + text.suffix(59)
    }
}
