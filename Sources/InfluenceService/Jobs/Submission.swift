import Attribution
import Foundation

struct Submission: Sendable, Equatable {
    var job: Job
    /// Whether an earlier request with the same key created the job.
    var isReplay: Bool
}

/// The client that sent a request, if it is known.
struct Asker: Sendable, Equatable {
    var id: String
    /// The most queries of the client that can wait or run at a time; `nil` for no limit of its own.
    var queryLimit: Int?
}

enum SubmissionError: Error, Equatable {
    case queueFull(queries: Int, limit: Int)
    /// The waiting and running queries leave too little memory for these.
    case memoryFull(bytes: Int, adding: Int, limit: Int)
    /// These queries alone take more memory than all waiting and running queries are allowed together.
    case tooLarge(bytes: Int, limit: Int)
    /// A query, given by its index in the request, alone takes more than a sweep is allowed to.
    case tooCostly(query: Int, QueryExcess)
    case stopping
    case keyReused
    /// The queries exceed the client's own limit.
    case tooManyQueries(waiting: Int, limit: Int)
}

/// The part of a query that is too large for any sweep.
enum QueryExcess: Error, Equatable {
    case candidates(Int, limit: Int)
    /// The memory of its candidates' scores.
    case candidateBytes(Int, limit: Int)
    /// The memory of its gradient, in the form in which it is compared with candidates.
    case gradientBytes(Int, limit: Int)
    case resultBytes(Int, limit: Int)

    /// The member of a query's JSON that is too large.
    func field(of query: InfluenceQuery) -> String {
        switch self {
        case .candidates, .candidateBytes: query.candidates.fieldOfCount
        case .gradientBytes: "rank"
        case .resultBytes: query.candidates.texts == nil ? "top_k" : "candidates.texts"
        }
    }

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
            batching.maximum_sweep_bytes), found about \(bytes): ask for fewer sequences, or for fewer kinds of attribution
            """
        }
    }
}

extension CandidateSelection {
    /// The member of a query's JSON that determines the number of candidates.
    fileprivate var fieldOfCount: String {
        if texts != nil { return "candidates.texts" }
        if ids != nil { return "candidates.ids" }
        return prefilter == .all ? "candidates.prefilter" : "candidates.limit"
    }
}
