import Attribution
import Foundation

/// What a job asks, in the few words that a list of jobs has room for: its first query, each text cut short.
public struct JobTitle: Sendable, Equatable, Codable {
    public var prompt: String
    public var completion: String

    /// Characters that are kept, the ellipsis in place of the others included.
    static let promptLength = 90
    static let completionLength = 40

    /// - Returns: `nil` if there is no query.
    init?(_ queries: [InfluenceQuery]) {
        guard let query = queries.first else { return nil }
        prompt = Self.cut(query.prompt, to: Self.promptLength)
        completion = Self.cut(query.completion, to: Self.completionLength)
    }

    /// The title of a request as the database has it.
    ///
    /// - Returns: `nil` if this version cannot read it.
    init?(request: String) {
        guard let queries = try? JSONDecoder().decode([InfluenceQuery].self, from: Data(request.utf8)) else {
            return nil
        }
        self.init(queries)
    }

    private static func cut(_ text: String, to length: Int) -> String {
        // Counting all of a long text's characters takes long, and one character may have any number of scalars.
        let whole = text
        let text = whole.cut(toBytes: 16 * length)
        let end = text.index(text.startIndex, offsetBy: length, limitedBy: text.endIndex) ?? text.endIndex
        return end == text.endIndex ? text : text.prefix(length - 1) + "…"
    }
}
