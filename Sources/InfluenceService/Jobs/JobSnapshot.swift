import Attribution
import Foundation
import GRDB

/// A job at one moment.
struct JobSnapshot: Sendable, Equatable {
    var job: Job
    /// As they were understood.
    var queries: [InfluenceQuery]
    /// Those that are done, in the order in which they were.
    var finished: [FinishedQuery]
    /// How far the sweep with its queries is.
    var progress: InfluenceProgress?
    /// How long the stage at hand will take, as far as can be told.
    var secondsLeft: Double?

    /// What it holds in memory, about.
    var heldBytes: Int {
        queries.reduce(0) { $0 + $1.heldBytes }
            + finished.reduce(0) { $0 + MemoryLayout<FinishedQuery>.stride + ($1.failure?.detail.utf8.count ?? 0) }
    }
}

/// A query of a job that is done.
struct FinishedQuery: Sendable, Equatable {
    /// In the request, from 0.
    var position: Int
    var failure: QueryFailure?
}

/// What a write changes in the jobs that are shown.
struct JobChanges: Sendable {
    struct Change: Sendable {
        var id: JobIdentifier
        /// Of a job that was not shown before.
        var queries: [InfluenceQuery]?
        var finished: [FinishedQuery]
        /// As it is after the write; `nil` if it is gone.
        var job: Job?
    }

    private(set) var list: [Change] = []
    private(set) var forgotten: [JobIdentifier] = []
    /// Later writes have higher numbers.
    private(set) var number = 0

    mutating func add(_ id: JobIdentifier, queries: [InfluenceQuery]? = nil, finished: [FinishedQuery] = []) {
        list.append(Change(id: id, queries: queries, finished: finished))
    }

    mutating func forget(_ id: JobIdentifier) { forgotten.append(id) }

    /// Reads the jobs as they are at the end of the write.
    mutating func read(in database: Database, file: String, number: Int) throws {
        self.number = number
        for index in list.indices {
            list[index].job = try Row.fetchOne(
                database, sql: "SELECT \(JobSchema.jobColumns) FROM job WHERE id = ?",
                arguments: [list[index].id.description]
            ).map { try Job(row: $0, file: file) }
        }
    }
}
