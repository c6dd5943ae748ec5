import Attribution
import JSON

/// What lists, log lines and messages show of a query.
///
/// A behaviour is shown by its first part and the number of the others, and a chat by the contents of its last two messages.
struct QueryLabel: Sendable, Equatable, Codable {
    var prompt: String
    var completion: String
    /// How many further prompts the behaviour has; nil if the query is about one.
    var others: Int?

    init(_ query: InfluenceQuery) {
        let first = query.parts.first
        if let messages = first?.messages {
            prompt = messages.dropLast().last.map(Self.content) ?? ""
            completion = messages.last.map(Self.content) ?? ""
        } else {
            (prompt, completion) = first.map { ($0.prompt, $0.completion) } ?? ("", "")
        }
        if query.parts.count > 1 { others = query.parts.count - 1 }
    }

    /// A message's text. The texts of a content that is a list of parts are joined.
    private static func content(of message: JSONTree) -> String {
        switch message["content"] {
        case .string(let text): text
        case .array(let parts):
            parts.compactMap { if case .string(let text) = $0["text"] { text } else { nil } }.joined()
        default: ""
        }
    }
}
