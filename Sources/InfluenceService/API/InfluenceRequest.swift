import Attribution
import HTTP
import JSON
import Limits

/// The body of POST /v1/influence: a query, or a list of them.
struct InfluenceRequest: Equatable {
    var queries: [InfluenceQuery]
    var isList: Bool

    /// Reads the body and fills in what the queries leave open.
    ///
    /// - Throws: A ``Problem`` with status 422 that names the field, in a list behind its query's index: `[3].prompt`.
    init(_ body: JSONTree, defaults: Configuration.Query, limit: ListLimit<InfluenceQuery>) throws {
        guard case .array(let elements) = body else {
            queries = [try Self.query(body, defaults, at: [])]
            isList = false
            return
        }
        guard limit.count.allows(elements.count) else {
            let advice = elements.isEmpty ? "" : ": post the list in parts"
            throw Problem.unusableField("", "expected \(limit.expected), found \(elements.count)\(advice)")
        }
        queries = try elements.enumerated().map { try Self.query($0.element, defaults, at: [IndexKey($0.offset)]) }
        isList = true
    }

    private static func query(
        _ tree: JSONTree, _ defaults: Configuration.Query, at path: [any CodingKey]
    ) throws -> InfluenceQuery {
        let candidates = (tree["candidates"].flatMap { $0 == .null ? nil : $0 } ?? .object([]))
            .filling("limit", with: .number(String(defaults.candidateLimit)))
        var members = tree
        if case .object(let all) = tree {
            members = .object(
                all.filter { !$0.name.hasSameBytes(as: "candidates") } + [.init(name: "candidates", value: candidates)])
        }
        let query =
            try members
            .filling("top_k", with: .number(String(defaults.topK)))
            .filling("rank", with: .number(String(defaults.rank)))
            .filling("rescore", with: .number(String(defaults.rescore)))
            .decoded(as: InfluenceQuery.self, at: path)
        let place = JSONTree.text(of: path)
        try defaults.refuseTooMany(
            query.candidates.texts, field: (place.isEmpty ? "" : place + ".") + "candidates.texts")
        return query
    }
}

extension Configuration.Jobs {
    /// How many queries one request can have.
    var queriesPerRequest: ListLimit<InfluenceQuery> { ListLimit(1...max(maximumQueriesPerRequest, 1), of: "queries") }
}
