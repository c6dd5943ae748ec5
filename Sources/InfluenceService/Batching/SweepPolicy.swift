import Attribution

/// Which waiting queries share the next sweep, and which may overtake one that is running.
///
/// Jobs have their turn in the order of their arrival, with three exceptions. A sweep is made of jobs of like cost, as a small
/// one would else wait for the candidates of a large one. A sweep that costs little beside what a running one has left is run at
/// once, while the running one holds; between two such the running one goes on for a time, so that it always has its share. And
/// what the process has died of more than once runs alone.
struct SweepPolicy: Sendable, Equatable {
    var maximumQueries = 64
    /// Scores of one sweep, queries times candidates. A job that has more is swept in parts. A query that alone has more is not
    /// admitted; where it was, and the corpus has grown since, it runs alone.
    var maximumScores = 20_000_000
    /// Memory of one sweep; what is said of scores goes for it, too.
    var maximumBytes = 4_294_967_296
    /// A sweep overtakes if its cost is at most this part of what the running one has left.
    var overtakingPart = 0.25
    /// The part of the time that a running sweep has, however many overtake it.
    var guaranteedShare = 0.25
    /// Jobs are alike if neither costs more than so many times the other,
    var likeness = 8
    /// or if none costs more than so many sequences.
    var smallCost = 2_000

    /// A job in the queue.
    struct Entry: Sendable {
        var job: WaitingJob
        /// Whether it may not be taken now, as some of its queries are being swept.
        var isBusy = false
    }

    /// How many queries of which jobs make the next sweep: the first that may run, and those behind it that go with it.
    ///
    /// - Parameters:
    ///   - waiting: In the order of arrival.
    ///   - left: What the running sweep has left, if there is one to overtake.
    /// - Returns: Places in `waiting` with numbers of queries, in order; none if nothing may run.
    func next(
        of waiting: [Entry], corpusSequences: Int, shape: SweepShape = SweepShape(), overtaking left: Int? = nil
    ) -> [(place: Int, queries: Int)] {
        let limit = left.map { Int(Double($0) * overtakingPart) } ?? .max
        let part = left == nil ? 1 : overtakingPart
        var chosen: [(place: Int, queries: Int)] = []
        var total = SweepCost(corpusSequences: corpusSequences, shape: shape)
        var first: SweepCost?
        for (place, entry) in waiting.enumerated() where !entry.isBusy {
            let runsAlone = entry.job.attempts > 1
            if runsAlone, left != nil || !chosen.isEmpty {
                // Behind a job that overtakes, those that wait for their turn may be overtaken too.
                if left == nil { break } else { continue }
            }
            let fitting = entry.job.queries.prefix(maximumQueries - total.queries)
            guard fitting.count == entry.job.queries.count || chosen.isEmpty else { break }
            var cost = SweepCost(of: fitting.lazy.map(\.query), corpusSequences: corpusSequences, shape: shape)
            var sum = total
            sum.add(cost)
            if sum.sequences > limit { continue }
            if let first, !isAlike(first, cost) { continue }
            var count = fitting.count
            if !hasRoom(for: sum, part: part) {
                guard chosen.isEmpty else { break }
                (count, cost) = leading(fitting, from: SweepCost(corpusSequences: corpusSequences, shape: shape))
                sum = cost
            }
            let isWhole = count == entry.job.queries.count
            if left != nil, !isWhole || !hasRoom(for: sum, part: part) { continue }
            chosen.append((place, count))
            total = sum
            first = first ?? cost
            if runsAlone || !isWhole || total.queries >= maximumQueries { break }
        }
        return chosen
    }

    /// Whether a sweep holds no more than it may.
    ///
    /// - Parameter part: Of what is allowed: less than 1 beside another sweep, which goes on holding what it has.
    func hasRoom(for cost: SweepCost, part: Double = 1) -> Bool {
        cost.scores <= Int(Double(maximumScores) * part) && cost.bytes <= Int(Double(maximumBytes) * part)
    }

    /// The first of some queries, as many as a sweep has room for; at least one.
    private func leading(_ queries: ArraySlice<WaitingQuery>, from none: SweepCost) -> (count: Int, cost: SweepCost) {
        var cost = none
        var count = 0
        for waiting in queries {
            var sum = cost
            sum.add(waiting.query)
            guard count == 0 || hasRoom(for: sum) else { break }
            cost = sum
            count += 1
        }
        return (count, cost)
    }

    /// Whether two jobs may share a sweep.
    func isAlike(_ a: SweepCost, _ b: SweepCost) -> Bool {
        let (low, high) = (min(a.sequences, b.sequences), max(a.sequences, b.sequences))
        return high <= smallCost || high <= low * likeness
    }

    /// How long a running sweep goes on after it was overtaken before it may be overtaken again.
    ///
    /// - Parameter seconds: How long it was held.
    func rest(afterHolding seconds: Double) -> Double { seconds * guaranteedShare / (1 - guaranteedShare) }
}

extension QueryExcess {
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
}
