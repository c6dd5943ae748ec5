import Attribution
import Foundation
import JSON

/// One accepted request for influence: a query, or a list of them, and how far it has come.
public struct Job: Sendable, Equatable {
    public var id: JobIdentifier
    public var status: Status
    /// Whether a list was posted; its result is then a list, even of one.
    public var isList: Bool
    public var queryCount: Int
    /// Absent in jobs of an earlier version that this one cannot read.
    public var title: JobTitle?
    public var failedQueryCount: Int
    /// The stage of the running sweep.
    public var progress: InfluenceProgress?
    public var created: Date
    public var started: Date?
    public var finished: Date?
    /// How often it was started; more than once after the process died while it ran.
    public var attempts: Int
    /// Why it failed; of a list, why its first failed query did.
    public var failure: QueryFailure?
    public var timings: JobTimings

    public enum Status: String, Sendable, Codable, CaseIterable {
        case queued, running, succeeded, failed, cancelled

        /// Whether nothing more will happen to the job.
        public var isFinal: Bool {
            switch self {
            case .queued, .running: false
            case .succeeded, .failed, .cancelled: true
            }
        }
    }
}

extension Job {
    /// Notes that a sweep has begun that has queries of the job.
    mutating func begin(in batch: JobTimings.Batch, at date: Date) {
        timings.batch = batch
        timings.sweeps += 1
        if started == nil { timings.queue = max(0, date.timeIntervalSince(created)) }
    }
}

/// Where a job's time went, in seconds, and with how many others it shared a sweep.
public struct JobTimings: Sendable, Equatable, Codable {
    /// From the request to the start of its first sweep.
    public var queue: Double?
    /// From the request to the last result.
    public var total: Double?
    public var gradients: Double?
    public var candidates: Double?
    public var sweep: Double?
    public var rescore: Double?
    /// The last sweep that answered queries of the job.
    public var batch: Batch?
    /// How many sweeps the job took: more than one only for a list that is longer than a batch.
    public var sweeps = 0

    public init() {}

    public struct Batch: Sendable, Equatable, Codable {
        public var id: String
        /// Queries that shared the sweep, of this job and others.
        public var size: Int
        /// Counts the sweeps since the server's start, from 1.
        public var number: Int
    }

    /// Adds the seconds that one sweep spent in each stage.
    mutating func add(_ seconds: [InfluenceProgress.Stage: Double]) {
        for (stage, spent) in seconds {
            switch stage {
            case .gradients: gradients = (gradients ?? 0) + spent
            case .candidates: candidates = (candidates ?? 0) + spent
            case .sweep: sweep = (sweep ?? 0) + spent
            case .rescore: rescore = (rescore ?? 0) + spent
            }
        }
    }
}

/// Why a query has no result, as it is kept with its job.
public struct QueryFailure: Sendable, Equatable, Codable {
    public var kind: Kind
    public var detail: String
    /// The path in the request of the field at fault.
    public var field: String?

    public enum Kind: String, Sendable, Codable {
        /// The query cannot be answered as it stands.
        case unusable
        case cancelled
        /// Something on the server's side failed.
        case failed
        /// The server died each time the job ran.
        case abandoned
    }

    public init(kind: Kind, detail: String, field: String? = nil) {
        self.kind = kind
        // It may quote what was asked, which can be long.
        self.detail = detail.cut(toBytes: Self.detailBytes)
        self.field = field
    }

    /// The most bytes of ``detail``.
    static let detailBytes = 4_096

    /// Of a job that an earlier version accepted, and whose queries this one refuses or cannot read.
    init(ofUnusableJob error: any Error) {
        var reason = "\(error)"
        if case .dataCorrupted(let context) = error as? DecodingError {
            let field = JSONTree.text(of: context.codingPath)
            reason = field.isEmpty ? context.debugDescription : "\(field): \(context.debugDescription)"
        }
        self.init(
            kind: .failed,
            detail: "another version of the server accepted the job, and this one cannot run it: \(reason). "
                + "Post it again")
    }

    public init(_ error: QueryError) {
        switch error {
        case .unusable(let field, let reason): self.init(kind: .unusable, detail: reason, field: field)
        case .cancelled: self.init(kind: .cancelled, detail: error.description)
        case .failed(let reason): self.init(kind: .failed, detail: reason)
        }
    }
}

/// What became of one query of a job.
public enum QueryOutcome: Sendable, Equatable {
    /// An ``InfluenceResult`` as JSON.
    case result(Data)
    case failure(QueryFailure)
}
