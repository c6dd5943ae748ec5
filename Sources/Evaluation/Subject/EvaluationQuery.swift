/// A question of an evaluation: how likely is this completion of this prompt?
public struct EvaluationQuery: Sendable, Codable, Equatable {
    public var prompt: String
    public var completion: String

    public init(prompt: String, completion: String) {
        self.prompt = prompt
        self.completion = completion
    }
}
