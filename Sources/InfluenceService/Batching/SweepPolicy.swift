import Attribution

/// Which waiting queries share the next sweep, and which of them can overtake a running one.
///
/// Jobs take turns in the order of their arrival, with three exceptions. A sweep takes jobs of similar cost, because a small one would
/// otherwise wait for the candidates of a large one. A sweep that costs little compared with what a running one has still to do runs at
/// once, while the running one is paused; between two such sweeps the running one continues for a time, so that it always has its share.
/// And a job that was running more than once when the process died runs alone.
struct SweepPolicy: Sendable, Equatable {
    var maximumQueries = 64
    /// The most scores of one sweep: queries times candidates. A job that has more is swept in parts. A query that alone has more is not
    /// admitted; if it has more because the corpus has grown since its admission, it runs alone.
    var maximumScores = 20_000_000
    /// The most memory of one sweep, to which the same rules apply.
    var maximumBytes = 4_294_967_296
    /// A sweep overtakes if its cost is at most this part of the running sweep's remaining cost.
    var overtakingPart = 0.25
    /// The part of the time that a running sweep has, however many sweeps overtake it.
    var guaranteedShare = 0.25
    /// Jobs are similar if neither costs more than this many times the other,
    var similarity = 8
    /// or if neither costs more than this many sequences.
    var smallCost = 2_000

    /// A job in the queue.
    struct Entry: Sendable {
        var job: WaitingJob
        /// Whether the job has to wait, because some of its queries are being swept.
        var isBusy = false
    }

    /// The jobs that make the next sweep, and how many queries of each: the first job that can run, and later ones that fit with it.
    ///
    /// - Parameters:
    ///   - waiting: The jobs in the order of arrival.
    ///   - remaining: The remaining cost of the running sweep, if one is to be overtaken.
    /// - Returns: Indices of `waiting` with numbers of queries, in order; none if nothing can run.
    /// - Complexity: Linear in the waiting queries, up to ``maximumQueries`` of each job.
    func next(
        of waiting: [Entry], corpusSequences: Int, shape: SweepShape = SweepShape(), overtaking remaining: Int? = nil
    ) -> [(index: Int, queries: Int)] {
        let limit = remaining.map { Int(Double($0) * overtakingPart) } ?? .max
        let part = remaining == nil ? 1 : overtakingPart
        var chosen: [(index: Int, queries: Int)] = []
        var total = SweepCost(corpusSequences: corpusSequences, shape: shape)
        var first: SweepCost?
        for (index, entry) in waiting.enumerated() where !entry.isBusy {
            let runsAlone = entry.job.attempts > 1
            if runsAlone, remaining != nil || !chosen.isEmpty {
                // A job that overtakes can also overtake the jobs before it that wait for their turn.
                if remaining == nil { break } else { continue }
            }
            let fitting = entry.job.queries.prefix(maximumQueries - total.queries)
            guard fitting.count == entry.job.queries.count || chosen.isEmpty else { break }
            var cost = SweepCost(of: fitting.lazy.map(\.query), corpusSequences: corpusSequences, shape: shape)
            var sum = total
            sum.add(cost)
            if sum.sequences > limit { continue }
            if let first, !areSimilar(first, cost) { continue }
            var count = fitting.count
            if !allows(sum, part: part) {
                guard chosen.isEmpty else { break }
                (count, cost) = leading(fitting, from: SweepCost(corpusSequences: corpusSequences, shape: shape))
                sum = cost
            }
            let isWhole = count == entry.job.queries.count
            if remaining != nil, !isWhole || !allows(sum, part: part) { continue }
            chosen.append((index, count))
            total = sum
            first = first ?? cost
            if runsAlone || !isWhole || total.queries >= maximumQueries { break }
        }
        return chosen
    }

    /// Whether a sweep stays within the limits of scores and memory.
    ///
    /// - Parameter part: The part of both limits that it can use: less than 1 beside another sweep, which keeps its own memory.
    func allows(_ cost: SweepCost, part: Double = 1) -> Bool {
        cost.scores <= Int(Double(maximumScores) * part) && cost.bytes <= Int(Double(maximumBytes) * part)
    }

    /// As many of the first queries as a sweep can take; at least one.
    private func leading(_ queries: ArraySlice<WaitingQuery>, from none: SweepCost) -> (count: Int, cost: SweepCost) {
        var cost = none
        var count = 0
        for waiting in queries {
            var sum = cost
            sum.add(waiting.query)
            guard count == 0 || allows(sum) else { break }
            cost = sum
            count += 1
        }
        return (count, cost)
    }

    /// Whether two jobs can share a sweep.
    private func areSimilar(_ a: SweepCost, _ b: SweepCost) -> Bool {
        let (low, high) = (min(a.sequences, b.sequences), max(a.sequences, b.sequences))
        return high <= smallCost || high <= low * similarity
    }

    /// How many seconds a sweep runs after it was overtaken before it can be overtaken again.
    ///
    /// - Parameter seconds: How long it was paused.
    func cooldown(afterPauseOf seconds: Double) -> Double { seconds * guaranteedShare / (1 - guaranteedShare) }
}

extension QueryExcess {
    /// Names the largest part of a cost that is too large.
    init(of cost: SweepCost, _ policy: SweepPolicy, _ jobs: Configuration.Jobs) {
        let others = cost.bytes - cost.resultBytes
        let gradients = cost.gradientBytes
        let resultLimit = min(jobs.maximumResponseBytesInFlight, policy.maximumBytes)
        if cost.scores > policy.maximumScores {
            self = .candidates(cost.scores, limit: policy.maximumScores)
        } else if cost.resultBytes > resultLimit || cost.resultBytes > others {
            self = .resultBytes(cost.resultBytes, limit: resultLimit)
        } else if gradients > others - gradients {
            self = .gradientBytes(cost.bytes, limit: policy.maximumBytes)
        } else {
            self = .candidateBytes(cost.bytes, limit: policy.maximumBytes)
        }
    }
}
