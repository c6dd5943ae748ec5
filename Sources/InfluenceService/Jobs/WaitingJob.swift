import Attribution

/// A job with queries that wait for a sweep.
struct WaitingJob: Sendable, Equatable {
    var id: JobIdentifier
    /// Those that are not done.
    var queries: [WaitingQuery]
    var attempts: Int
    /// The ``Asker/id`` of who asked, where that is known.
    var asker: String?
    /// Whether the store has the job. Nothing of any other is ever written: its answer goes to the request that waits for it.
    var isKept = true
}

struct WaitingQuery: Sendable, Equatable {
    /// In the request, from 0.
    var position: Int
    var query: InfluenceQuery
}
