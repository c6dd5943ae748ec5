/// What a caller may do. Each scope includes those before it.
public enum Scope: String, Sendable, Codable, CaseIterable, Comparable {
    /// Look at jobs, results, the model and the corpus.
    case read
    /// Ask for influence and completions, and cancel jobs.
    case query
    /// Add to the corpus.
    case admin

    public static func < (one: Scope, other: Scope) -> Bool { one.order < other.order }

    private var order: Int {
        switch self {
        case .read: 0
        case .query: 1
        case .admin: 2
        }
    }
}
