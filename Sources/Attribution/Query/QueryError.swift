/// Why a query cannot be answered.
public enum QueryError: Error, Equatable, CustomStringConvertible {
    /// A field's value cannot be used; `field` is its path in the request.
    case unusable(field: String, reason: String)
    case cancelled
    /// Something on our side failed.
    case failed(reason: String)

    init(_ error: any Error) {
        self = error as? QueryError ?? .failed(reason: String(describing: error))
    }

    public var description: String {
        switch self {
        case .unusable(let field, let reason): "\(field): \(reason)"
        case .cancelled: "the query was cancelled"
        case .failed(let reason): reason
        }
    }
}

/// How much of a query batch is done.
public struct InfluenceProgress: Sendable, Equatable {
    public enum Stage: String, Sendable, Codable, CaseIterable {
        case gradients, candidates, sweep, rescore
    }

    public var stage: Stage
    public var done: Int
    public var total: Int

    public init(stage: Stage, done: Int, total: Int) {
        self.stage = stage
        self.done = done
        self.total = total
    }
}
