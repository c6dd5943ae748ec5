import Attribution

/// What a query asks too much of, for any sweep.
public enum QueryExcess: Error, Equatable {
    case candidates(Int, limit: Int)
    /// Memory of the scores of its candidates.
    case candidateBytes(Int, limit: Int)
    /// Memory of its gradient, as it is to be compared with candidates.
    case gradientBytes(Int, limit: Int)
    case resultBytes(Int, limit: Int)

    /// The largest part of a cost that is too large.
    init(of cost: SweepCost, _ policy: SweepPolicy, _ jobs: Configuration.Jobs) {
        let rest = cost.bytes - cost.resultBytes
        let gradients = cost.gradientBytes
        let resultLimit = min(jobs.maximumResponseBytesInFlight, policy.maximumBytes)
        if cost.scores > policy.maximumScores {
            self = .candidates(cost.scores, limit: policy.maximumScores)
        } else if cost.resultBytes > resultLimit || cost.resultBytes > rest {
            self = .resultBytes(cost.resultBytes, limit: resultLimit)
        } else if gradients > rest - gradients {
            self = .gradientBytes(cost.bytes, limit: policy.maximumBytes)
        } else {
            self = .candidateBytes(cost.bytes, limit: policy.maximumBytes)
        }
    }

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
