import Attribution
import Foundation
import Logging

/// Gathers the queries of all jobs into sweeps.
///
/// Queries that arrive while a sweep runs share the next one. A job's queries stay together if they fit; a list that is longer
/// than a batch runs in several sweeps, with its results kept after each. ``SweepPolicy`` says who shares a sweep and who may
/// overtake: there is one sweep at a time in the order of arrival, and at most one beside it that has overtaken it.
///
/// What is asked of the batcher is in this file, what it does by itself in `QueryBatcher+Sweeps.swift`.
public actor QueryBatcher {
    let store: JobStore
    let batching: Configuration.Batching
    let jobs: Configuration.Jobs
    let logger: Logger
    let metrics: ServiceMetrics
    let progressInterval: Duration
    let retryInterval: Duration
    /// Told when a sweep has let go of its memory.
    let freedMemory: FreedMemory?
    let policy: SweepPolicy
    /// `nil` if unfinished sweeps are to start anew.
    let checkpoints: SweepCheckpoints?
    /// A sweep blocks its thread: threads of their own, at a lower priority than what answers requests.
    let sweeps = BlockingLane("tributary.sweep", width: 2, qualityOfService: .utility)

    var engine: (any InfluenceAnswering)?
    var corpusSequences = 1
    var shape = SweepShape()
    var waiting: [Queued] = []
    /// The sweeps of an earlier process that are to be taken up.
    var interrupted: [InterruptedSweep] = []
    /// The running sweep that has its turn, and the one that has overtaken it.
    var current: Batch?
    var overtaking: Batch?
    /// When the running sweep may be overtaken again.
    var restEnd = ContinuousClock.now
    /// The jobs that have not ended.
    var open: [JobIdentifier: OpenJob] = [:]
    /// Those that are kept nowhere else.
    var passing: [JobIdentifier: PassingAnswer] = [:]
    var sweepCount = 0
    var isStopping = false
    var loops: [Task<Void, Never>] = []
    /// Is to remove old jobs in a moment.
    var removal: Task<Void, Never>?
    var sleepers = Sleepers<Event>()

    /// A job in the queue.
    struct Queued {
        var job: WaitingJob
        var arrived: ContinuousClock.Instant
    }

    enum Event: Hashable {
        /// A job has come, or a sweep has begun or ended.
        case change
        case end(of: JobIdentifier)
        case stop
        case retry
    }

    /// - Parameters:
    ///   - checkpointFolder: Where sweeps that are under way keep their scores; `nil` to keep none.
    ///   - progressInterval: How often a running job's progress is written to the store.
    ///   - retryInterval: How long to wait before results that could not be written are written again.
    init(
        store: JobStore, batching: Configuration.Batching, jobs: Configuration.Jobs, logger: Logger,
        metrics: ServiceMetrics = ServiceMetrics(), checkpointFolder: URL? = nil,
        progressInterval: Duration = .seconds(2), retryInterval: Duration = .seconds(5),
        freedMemory: FreedMemory? = nil
    ) {
        self.store = store
        self.batching = batching
        self.jobs = jobs
        self.logger = logger
        self.metrics = metrics
        self.progressInterval = progressInterval
        self.retryInterval = retryInterval
        self.freedMemory = freedMemory
        var policy = SweepPolicy()
        policy.maximumQueries = batching.maximumQueries
        policy.maximumScores = batching.maximumScores
        policy.maximumBytes = batching.maximumSweepBytes
        self.policy = policy
        checkpoints = checkpointFolder.map {
            SweepCheckpoints(folder: $0, interval: .seconds(batching.checkpointSeconds), logger: logger)
        }
    }

    // MARK: - Jobs

    /// Keeps a job and queues it. The job is on disk when this returns.
    ///
    /// - Parameters:
    ///   - key: A request with a key that an earlier one had gets that one's job, even if no new one would be accepted.
    ///   - asker: Whose limit counts beside that of all.
    /// - Throws: ``SubmissionError``, ``JobStoreError``.
    public func submit(
        _ queries: [InfluenceQuery], isList: Bool, key: IdempotencyKey? = nil, asker: Asker? = nil
    ) async throws -> Submission {
        if let key, let earlier = try await store.job(for: key) { return Submission(job: earlier, isReplay: true) }
        let id = try admit(queries, asker)
        // A task of its own: the asker's may be cancelled between the commit and the queue, and the job would then wait
        // until the next start.
        let keeping = Task { [store] in
            try await store.add(queries, isList: isList, id: id, key: key, asker: asker?.id)
        }
        do {
            let submission = try await keeping.value
            guard !submission.isReplay else {
                close(id)
                return submission
            }
            logger.info("job queued", metadata: ["job_id": "\(id)", "queries": "\(queries.count)"])
            enqueue(WaitingJob(id: id, queries: queries.waiting, attempts: 0))
            return submission
        } catch {
            close(id)
            throw error
        }
    }

    /// Counts new queries among those that wait, if all limits allow it.
    ///
    /// - Returns: The id of the job that they are to be.
    func admit(_ queries: [InfluenceQuery], _ asker: Asker?) throws(SubmissionError) -> JobIdentifier {
        guard !isStopping else { throw .stopping }
        let job = OpenJob(queries, asker: asker?.id)
        guard job.bytes <= jobs.maximumQueuedBytes else {
            throw .tooLarge(bytes: job.bytes, limit: jobs.maximumQueuedBytes)
        }
        try refuseTooCostly(queries)
        let count = open.values.reduce(0) { $0 + $1.queries }
        guard count + job.queries <= jobs.maximumQueuedQueries else {
            throw .queueFull(queries: count, limit: jobs.maximumQueuedQueries)
        }
        if let asker, let limit = asker.queryLimit {
            let waiting = open.values.reduce(0) { $0 + ($1.asker == asker.id ? $1.queries : 0) }
            guard waiting + job.queries <= limit else { throw .tooManyQueries(waiting: waiting, limit: limit) }
        }
        let bytes = open.values.reduce(0) { $0 + $1.bytes }
        guard bytes + job.bytes <= jobs.maximumQueuedBytes else {
            throw .memoryFull(bytes: bytes, adding: job.bytes, limit: jobs.maximumQueuedBytes)
        }
        let id = JobIdentifier()
        open[id] = job
        return id
    }

    /// A sweep has at least one query, so that one alone must not take more than a sweep may.
    private func refuseTooCostly(_ queries: [InfluenceQuery]) throws(SubmissionError) {
        for (position, query) in queries.enumerated() {
            let cost = SweepCost(of: [query], corpusSequences: corpusSequences, shape: shape)
            guard !policy.hasRoom(for: cost) || cost.resultBytes > jobs.maximumResponseBytesInFlight else { continue }
            throw .tooCostly(query: position, QueryExcess(of: cost, policy, jobs))
        }
    }

    func enqueue(_ job: WaitingJob) {
        // Cancelled while it was being written.
        guard open[job.id] != nil else { return }
        waiting.append(Queued(job: job, arrived: .now))
        sleepers.wake(.change)
    }

    /// Ends a job that has not ended: its queries leave the queue, or the running sweep at its next micro-batch.
    ///
    /// - Returns: The job as it is now, and whether this call ended it; `nil` if there is none of that id.
    public func cancel(_ id: JobIdentifier) async throws -> (job: Job, didCancel: Bool)? {
        if let job = cancelPassing(id) { return (job, true) }
        guard let (job, didCancel) = try await store.cancel(id) else { return nil }
        if didCancel {
            logger.info("job cancelled", metadata: ["job_id": "\(id)"])
            withdraw(id)
            removeOldJobsSoon()
        }
        return (job, didCancel)
    }

    /// Takes a job's queries out of the queue, or out of the running sweep at its next micro-batch.
    func withdraw(_ id: JobIdentifier) {
        waiting.removeAll { $0.job.id == id }
        for batch in running { batch.cancel(id) }
        close(id)
        freedMemory?.note()
    }

    /// Suspends until a job has ended, the time is up, the server stops, or the calling task is cancelled.
    public func waitForEnd(of id: JobIdentifier, seconds: Double) async {
        guard open[id] != nil, !isStopping else { return }
        await sleep(until: .end(of: id), seconds: seconds)
    }

    func close(_ id: JobIdentifier) {
        open[id] = nil
        sleepers.wake(.end(of: id))
    }

    /// The sweeps that are under way.
    var running: [Batch] { [current, overtaking].compactMap { $0 } }

    func isWaiting(_ job: JobIdentifier) -> Bool { waiting.contains { $0.job.id == job } }

    func isSwept(_ job: JobIdentifier) -> Bool { running.contains { $0.jobs.contains(job) } }

    /// How much there is to do.
    var load: QueueLoad {
        QueueLoad(
            waitingQueries: waiting.reduce(0) { $0 + $1.job.queries.count },
            runningQueries: running.reduce(0) { $0 + $1.queries.count }, limit: jobs.maximumQueuedQueries,
            bytes: open.values.reduce(0) { $0 + $1.bytes }, byteLimit: jobs.maximumQueuedBytes)
    }

    // MARK: - Start and stop

    /// Starts the sweeps, first those that an earlier process left unfinished.
    ///
    /// - Throws: ``JobStoreError``.
    public func start(_ engine: any InfluenceAnswering) async throws {
        guard loops.isEmpty, !isStopping else { return }
        self.engine = engine
        if let reason = store.rewritingFailure {
            logger.warning(
                "the job database keeps what it once took of the disk, as it could not be written anew",
                metadata: ["error": "\(reason)"])
        }
        await countCorpus()
        try await expire()
        let checkpoints = checkpoints
        let recovery = try await store.recover(maximumAttempts: jobs.maximumAttempts) { sweep in
            checkpoints?.bytes(of: sweep) ?? 0
        }
        for fault in recovery.faults { log(fault) }
        checkpoints?.keepOnly(Set(recovery.sweeps.map(\.id)))
        for job in recovery.jobs where open[job.id] == nil {
            open[job.id] = OpenJob(job.queries.map(\.query), asker: job.asker)
            logger.notice("job queued again", metadata: ["job_id": "\(job.id)", "queries": "\(job.queries.count)"])
            enqueue(job)
        }
        // Small ones first: in their own process they had overtaken the others.
        interrupted = recovery.sweeps.sorted { estimatedCost(of: $0) < estimatedCost(of: $1) }
        loops = [Task { await self.runInOrder() }, Task { await self.runOvertaking() }]
    }

    private func log(_ fault: RecoveryFault) {
        switch fault {
        case .sweep(let id, let reason):
            logger.error(
                "what a sweep was made of cannot be read: its queries are swept from the start",
                metadata: ["batch_id": "\(id)", "reason": "\(reason)"])
        case .job(let id, let reason):
            logger.error(
                "a job cannot be read, and has failed", metadata: ["job_id": "\(id)", "reason": "\(reason)"])
        }
    }

    /// Stops: running sweeps are given `grace` seconds, and what is then unfinished is taken up at the next start.
    public func stop(grace: Double) async {
        isStopping = true
        for event in [Event.change, .retry] { sleepers.wake(event) }
        // Whoever waits for a job of a running sweep may still see its end.
        let left = open.keys.filter { !isSwept($0) || isWaiting($0) }
        for job in left { sleepers.wake(.end(of: job)) }
        store.board.dismissFollowers(of: left)
        guard !loops.isEmpty else { return }
        if !running.isEmpty { await sleep(until: .stop, seconds: grace) }
        for batch in running {
            logger.notice("sweep interrupted", metadata: ["batch_id": "\(batch.identity.id)"])
            batch.interrupt()
        }
        do {
            try await store.putBack(open.keys.filter { passing[$0] == nil })
        } catch {
            logger.error("jobs could not be put back into the queue", metadata: ["error": "\(error)"])
        }
        store.board.dismissFollowers(of: open.keys)
        // An engine looks at its cancellation between micro-batches; one that does not must not keep the process alive.
        if !running.isEmpty { await sleep(until: .stop, seconds: 10) }
        for loop in loops { loop.cancel() }
    }

    // MARK: - Waiting

    /// Suspends until an event, a time-out or the task's cancellation.
    func sleep(until event: Event, seconds: Double?) async {
        let token = sleepers.token()
        let alarm = seconds.map { seconds in
            Task {
                guard (try? await Task.sleep(for: .seconds(seconds))) != nil else { return }
                sleepers.wake(event, token: token)
            }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                sleepers.add(continuation, for: event, token: token)
                if Task.isCancelled { sleepers.wake(event, token: token) }
            }
        } onCancel: {
            Task { await self.wake(event, token: token) }
        }
        alarm?.cancel()
    }

    private func wake(_ event: Event, token: Int) { sleepers.wake(event, token: token) }
}

/// How much a batcher has to do.
struct QueueLoad: Sendable, Equatable {
    /// Queries that no sweep has taken yet.
    var waitingQueries: Int
    /// Queries of the sweeps that run.
    var runningQueries: Int
    /// Queries that may wait and run.
    var limit: Int
    /// What both hold in memory.
    var bytes: Int
    /// What they may hold.
    var byteLimit: Int
}
