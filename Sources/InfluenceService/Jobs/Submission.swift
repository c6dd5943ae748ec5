import Attribution
import Foundation

/// A client's own name for a request, so that the request can be sent again without being done again.
///
/// (draft-ietf-httpapi-idempotency-key-header, section 2.)
public struct IdempotencyKey: Sendable, Equatable {
    public var text: String
    /// The ``Asker/id`` of the client, as two may think of the same text; empty where it needs no token and has none.
    public var owner: String
    /// Tells the request from others that wrongly have the same key.
    public var requestDigest: Data

    public init(text: String, owner: String = "", requestDigest: Data) {
        self.text = text
        self.owner = owner
        self.requestDigest = requestDigest
    }
}

/// What became of a request for a job.
public struct Submission: Sendable, Equatable {
    public var job: Job
    /// Whether an earlier request with the same key had made the job.
    public var isReplay: Bool
}

/// Who asks, where that is known.
public struct Asker: Sendable, Equatable {
    public var id: String
    /// The most queries of theirs that may wait or run at a time; `nil` for as many as the server takes.
    public var queryLimit: Int?

    public init(id: String, queryLimit: Int?) {
        self.id = id
        self.queryLimit = queryLimit
    }
}

/// Why a job is not accepted.
public enum SubmissionError: Error, Equatable {
    case queueFull(queries: Int, limit: Int)
    /// The queries that wait hold too much memory to take more.
    case memoryFull(bytes: Int, adding: Int, limit: Int)
    /// The queries alone hold more memory than all that wait may.
    case tooLarge(bytes: Int, limit: Int)
    /// A query, by its place in the request, takes more alone than a sweep may.
    case tooCostly(query: Int, QueryExcess)
    case stopping
    /// Another request has had the same idempotency key.
    case keyReused
    /// Over the asker's own limit.
    case tooManyQueries(waiting: Int, limit: Int)
}

/// What a query asks too much of, for any sweep.
public enum QueryExcess: Error, Equatable {
    case candidates(Int, limit: Int)
    /// Memory of the scores of its candidates.
    case candidateBytes(Int, limit: Int)
    /// Memory of its gradient, as it is to be compared with candidates.
    case gradientBytes(Int, limit: Int)
    case resultBytes(Int, limit: Int)

    /// The member of a query's JSON that asks for it.
    func field(of query: InfluenceQuery) -> String {
        switch self {
        case .candidates, .candidateBytes: query.candidates.fieldOfCount
        case .gradientBytes: "rank"
        case .resultBytes: query.candidates.texts == nil ? "top_k" : "candidates.texts"
        }
    }

    /// What was expected, and what was found.
    var reason: String {
        switch self {
        case .candidates(let count, let limit):
            "expected at most \(limit) candidates (batching.maximum_scores), found up to \(count): ask for fewer"
        case .candidateBytes(let bytes, let limit):
            """
            expected candidates that take at most \(limit) bytes of memory (batching.maximum_sweep_bytes), found about \(bytes): ask \
            for fewer
            """
        case .gradientBytes(let bytes, let limit):
            """
            expected gradients that take at most \(limit) bytes of memory (batching.maximum_sweep_bytes), found about \(bytes): ask \
            for a lower rank, or shorten the prompt
            """
        case .resultBytes(let bytes, let limit):
            """
            expected a result of at most \(limit) bytes of memory (jobs.maximum_response_bytes_in_flight, \
            batching.maximum_sweep_bytes), found about \(bytes): ask for fewer sequences, or for less of each in attribution
            """
        }
    }
}

extension CandidateSelection {
    /// The member of a query's JSON that says how many candidates there are.
    fileprivate var fieldOfCount: String {
        if texts != nil { return "candidates.texts" }
        if ids != nil { return "candidates.ids" }
        return prefilter == .all ? "candidates.prefilter" : "candidates.limit"
    }
}
