import HTTP
import Limits

/// Which part of a list a client asks for, by the query items `limit` and `cursor`.
struct PageQuery: Equatable {
    /// How many elements to return at most.
    var limit: Int
    /// Where the page begins: what the page before named as `next_cursor`. Nil for the first page.
    var cursor: Int64?

    static let limits = 1...1_000
    static let cursors: ClosedRange<Int64> = 1...999_999_999_999_999_999
    /// A cursor as a regular expression.
    static let cursorPattern = "^[1-9][0-9]{0,17}$"

    /// - Throws: ``Problem`` with status 400 that names the item.
    init(_ request: Request, defaultLimit: Int) throws(Problem) {
        limit = try request.limit(default: defaultLimit)
        cursor = try request.item("cursor", expected: "the next_cursor of an earlier page") { text in
            guard let number = Int64(text), Self.cursors.allows(number), String(number) == text else { return nil }
            return number
        }
    }
}

extension Request {
    /// The query item `limit`.
    func limit(default fallback: Int) throws(Problem) -> Int {
        try item("limit", expected: PageQuery.limits.expected) { text in
            Int(text).flatMap { PageQuery.limits.allows($0) ? $0 : nil }
        } ?? fallback
    }
}

extension Operation.Parameter {
    static func limit(default fallback: Int) -> Operation.Parameter {
        .query("limit", "How many to return at most.", .integer("A number.", in: PageQuery.limits, default: fallback))
    }

    static let cursor = Operation.Parameter.query(
        "cursor", "The next_cursor of the page before.", .string("A cursor.", pattern: PageQuery.cursorPattern))
}
