import Attribution

/// Admits queries within the limits on their number and memory, holds them until a sweep takes them, and decides which go next.
///
/// A job is *open* from its admission until it has ended: it counts towards the limits. It *waits* while it has queries that no sweep has
/// taken. The queue is a value that the ``QueryRunner`` owns, so that each decision is made in one step of that actor.
struct QueryQueue {
    let policy: SchedulingPolicy
    private let limits: Configuration.Jobs
    /// How long a sweep waits for further queries after its first job arrived.
    private let window: Duration
    /// The corpus and the model by which costs are estimated.
    var corpusSequences = 1
    var shape = SweepShape()
    /// In the order of arrival.
    private var waiting: [Waiting] = []
    /// The sweeps of an earlier process that are to be resumed.
    private var interrupted: [InterruptedSweep] = []
    private var open: [JobIdentifier: OpenJob] = [:]

    private struct Waiting {
        var job: WaitingJob
        var arrived: ContinuousClock.Instant
    }

    /// Indices of waiting jobs, and how many queries of each make the next sweep.
    struct Choice {
        fileprivate var parts: [(index: Int, queries: Int)]
        /// How many seconds the sweep should still wait for others to share it; `nil` if it should start now.
        var secondsToWait: Double?
    }

    init(batching: Configuration.Batching, limits: Configuration.Jobs) {
        var policy = SchedulingPolicy()
        policy.maximumQueries = batching.maximumQueries
        policy.maximumScores = batching.maximumScores
        policy.maximumBytes = batching.maximumSweepBytes
        self.policy = policy
        self.limits = limits
        window = .milliseconds(batching.windowMilliseconds)
    }

    // MARK: - Admission

    /// Opens a job for new queries, if all limits allow it.
    mutating func admit(_ queries: [InfluenceQuery], _ asker: Asker?) throws(SubmissionError) -> JobIdentifier {
        let job = OpenJob(queries, asker: asker?.id)
        guard job.bytes <= limits.maximumQueuedBytes else {
            throw .tooLarge(bytes: job.bytes, limit: limits.maximumQueuedBytes)
        }
        try refuseTooCostly(queries)
        let count = open.values.reduce(0) { $0 + $1.queries }
        guard count + job.queries <= limits.maximumQueuedQueries else {
            throw .queueFull(queries: count, limit: limits.maximumQueuedQueries)
        }
        if let asker, let limit = asker.queryLimit {
            let own = open.values.reduce(0) { $0 + ($1.asker == asker.id ? $1.queries : 0) }
            guard own + job.queries <= limit else { throw .tooManyQueries(waiting: own, limit: limit) }
        }
        guard bytes + job.bytes <= limits.maximumQueuedBytes else {
            throw .memoryFull(bytes: bytes, adding: job.bytes, limit: limits.maximumQueuedBytes)
        }
        let id = JobIdentifier()
        open[id] = job
        return id
    }

    /// A sweep has at least one query, so a single query must not take more than a sweep is allowed to.
    private func refuseTooCostly(_ queries: [InfluenceQuery]) throws(SubmissionError) {
        for (position, query) in queries.enumerated() {
            let cost = SweepCost(of: [query], corpusSequences: corpusSequences, shape: shape)
            guard !policy.allows(cost) || cost.resultBytes > limits.maximumResponseBytesInFlight else { continue }
            throw .tooCostly(query: position, QueryExcess(of: cost, policy, limits))
        }
    }

    /// Lets the queries of an open job wait for a sweep.
    ///
    /// - Returns: `false` if the job was cancelled while it was being written.
    mutating func enqueue(_ job: WaitingJob) -> Bool {
        guard isOpen(job.id) else { return false }
        waiting.append(Waiting(job: job, arrived: .now))
        return true
    }

    /// Opens a job of an earlier process, whatever the limits, and lets its queries wait.
    ///
    /// - Returns: `false` if it is open already.
    mutating func restore(_ job: WaitingJob) -> Bool {
        guard !isOpen(job.id) else { return false }
        open[job.id] = OpenJob(job.queries.map(\.query), asker: job.asker)
        return enqueue(job)
    }

    mutating func withdraw(_ id: JobIdentifier) {
        waiting.removeAll { $0.job.id == id }
        close(id)
    }

    mutating func close(_ id: JobIdentifier) { open[id] = nil }

    var openJobs: some Collection<JobIdentifier> { open.keys }

    func isOpen(_ id: JobIdentifier) -> Bool { open[id] != nil }

    func isWaiting(_ id: JobIdentifier) -> Bool { waiting.contains { $0.job.id == id } }

    /// Memory of the queries that wait and run.
    private var bytes: Int { open.values.reduce(0) { $0 + $1.bytes } }

    func load(running queries: Int) -> QueueLoad {
        QueueLoad(
            waitingQueries: waiting.reduce(0) { $0 + $1.job.queries.count }, runningQueries: queries,
            limit: limits.maximumQueuedQueries, bytes: bytes, byteLimit: limits.maximumQueuedBytes)
    }

    // MARK: - The next sweep

    /// The next sweep that can start now, or that can overtake another.
    ///
    /// - Parameters:
    ///   - running: All batches that are running. Further queries of their jobs have to wait until they end.
    ///   - paused: The running batch to overtake; `nil` for a sweep in its turn.
    /// - Returns: `nil` if there is none.
    func next(beside running: [RunningBatch], overtaking paused: RunningBatch? = nil) -> Choice? {
        let taken = Set(interrupted.flatMap { $0.members.map(\.job) })
        let swept = Set(running.flatMap(\.jobs))
        let entries = waiting.map {
            SchedulingPolicy.Entry(
                job: $0.job, isBusy: swept.contains($0.job.id) || taken.contains($0.job.id.description))
        }
        let parts = policy.next(
            of: entries, corpusSequences: corpusSequences, shape: shape, overtaking: paused?.remaining)
        return parts.isEmpty ? nil : Choice(parts: parts, secondsToWait: secondsToWait(for: parts))
    }

    private func secondsToWait(for parts: [(index: Int, queries: Int)]) -> Double? {
        guard parts.reduce(0, { $0 + $1.queries }) < policy.maximumQueries else { return nil }
        let first = parts.map { waiting[$0.index].arrived }.min() ?? .now
        let seconds = ContinuousClock.now.duration(to: first + window) / .seconds(1)
        return seconds > 0 ? seconds : nil
    }

    /// Removes the chosen queries from the queue. The queue must not have changed since the choice.
    mutating func take(_ choice: Choice) -> [WaitingJob] {
        let slices = choice.parts.map { index, count in
            var slice = waiting[index].job
            slice.queries = Array(slice.queries.prefix(count))
            waiting[index].job.queries.removeFirst(count)
            return slice
        }
        waiting.removeAll { $0.job.queries.isEmpty }
        return slices
    }

    // MARK: - Sweeps of an earlier process

    /// Queues sweeps of an earlier process to be resumed before any other. The cheapest come first, because they had overtaken the others
    /// in that process.
    mutating func resume(_ sweeps: [InterruptedSweep]) {
        interrupted = sweeps.sorted { estimatedCost(of: $0) < estimatedCost(of: $1) }
    }

    private func estimatedCost(of sweep: InterruptedSweep) -> Int {
        let queries = sweep.members.flatMap { member in
            waiting.first { $0.job.id.description == member.job }?.job.queries
                .filter { member.positions.contains($0.position) }.map(\.query) ?? []
        }
        return SweepCost(of: queries, corpusSequences: corpusSequences).sequences
    }

    /// Removes the next sweep to resume, with its queries that still wait: none if all of them were cancelled.
    mutating func takeInterrupted() -> (id: String, slices: [WaitingJob])? {
        guard !interrupted.isEmpty else { return nil }
        let sweep = interrupted.removeFirst()
        var slices: [WaitingJob] = []
        for member in sweep.members {
            guard let index = waiting.firstIndex(where: { $0.job.id.description == member.job }) else { continue }
            var slice = waiting[index].job
            slice.queries.removeAll { !member.positions.contains($0.position) }
            // A job during which the process died more than once runs alone.
            guard !slice.queries.isEmpty, slice.attempts <= 1 || sweep.members.count == 1 else { continue }
            slices.append(slice)
            waiting[index].job.queries.removeAll { member.positions.contains($0.position) }
        }
        waiting.removeAll { $0.job.queries.isEmpty }
        return (sweep.id, slices)
    }
}

/// The queries that wait and run, and the limits on them.
struct QueueLoad: Sendable, Equatable {
    /// Queries that no sweep has taken yet.
    var waitingQueries: Int
    var runningQueries: Int
    /// The most queries that can wait and run.
    var limit: Int
    /// Memory of the queries that wait and run.
    var bytes: Int
    var byteLimit: Int
}
