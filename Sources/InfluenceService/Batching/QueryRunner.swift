import Attribution
import Foundation
import Logging

/// Runs the queries of all jobs in query batches, each of which shares one sweep.
///
/// Queries that arrive while a sweep runs share the next one. A job's queries stay together if they fit; a list that is longer than a
/// query batch runs in several, and its results are kept after each. The ``QueryQueue`` decides which queries go next: one sweep runs in
/// the order of arrival, and at most one other runs beside it, having overtaken it.
///
/// This file has the methods that requests call. `QueryRunner+Sweeps.swift` has the loops that run the sweeps.
actor QueryRunner {
    let store: JobStore
    let jobs: Configuration.Jobs
    let logger: Logger
    let metrics: ServiceMetrics
    let intervals: Intervals
    let freedMemory: FreedMemory?
    /// `nil` if unfinished sweeps start from scratch.
    let checkpoints: SweepCheckpoints?
    /// A sweep blocks its thread. These threads have a lower priority than those that answer requests.
    let sweeps = BlockingLane("tributary.sweep", width: 2, qualityOfService: .utility)

    var engine: (any ServiceEngine)?
    var queue: QueryQueue
    /// The batch that runs in its turn, and the one that has overtaken it.
    var current: RunningBatch?
    var overtaking: RunningBatch?
    /// When the current batch can be overtaken again.
    var cooldownEnd = ContinuousClock.now
    /// Passing jobs: those that the store does not have.
    private var passing: [JobIdentifier: PassingAnswer] = [:]
    var sweepCount = 0
    private(set) var isStopping = false
    private var loops: [Task<Void, Never>] = []
    /// The removal of old jobs that is due in a moment.
    private var removal: Task<Void, Never>?
    private var sleepers = Sleepers<Event>()

    enum Event: Hashable {
        /// A job has come, or a sweep has begun or ended.
        case change
        case end(of: JobIdentifier)
        case stop
        case retry
    }

    private enum PassingAnswer: Sendable, Equatable {
        case awaited
        /// The job has ended; its request has not taken the answer yet.
        case given(QueryOutcome)
    }

    struct Intervals: Sendable {
        /// How often a running job's progress is written to the store.
        var progress = Duration.seconds(2)
        /// How long to wait before writing results again that could not be written.
        var retry = Duration.seconds(5)
    }

    /// What the runner reports to, besides the store.
    struct Observers: Sendable {
        var logger: Logger
        var metrics = ServiceMetrics()
        /// Notified when a sweep has freed its memory.
        var freedMemory: FreedMemory?
    }

    /// - Parameter checkpointFolder: Where running sweeps keep their scores; `nil` to keep none.
    init(
        store: JobStore, batching: Configuration.Batching, jobs: Configuration.Jobs, observers: Observers,
        checkpointFolder: URL? = nil, intervals: Intervals = Intervals()
    ) {
        self.store = store
        self.jobs = jobs
        self.intervals = intervals
        logger = observers.logger
        metrics = observers.metrics
        freedMemory = observers.freedMemory
        queue = QueryQueue(batching: batching, limits: jobs)
        checkpoints = checkpointFolder.map {
            SweepCheckpoints(folder: $0, interval: .seconds(batching.checkpointSeconds), logger: observers.logger)
        }
    }

    // MARK: - Jobs

    /// Keeps a job and queues it. The job is on disk when this returns.
    ///
    /// - Parameters:
    ///   - key: If an earlier request had the same key, its job is returned, even if no new job would be accepted.
    ///   - asker: The client, whose own limit applies in addition to the limit of all clients.
    /// - Throws: ``SubmissionError``, ``JobStoreError``.
    func submit(
        _ queries: [InfluenceQuery], isList: Bool, key: IdempotencyKey? = nil, asker: Asker? = nil
    ) async throws -> Submission {
        if let key, let earlier = try await store.job(for: key) { return Submission(job: earlier, isReplay: true) }
        let id = try admit(queries, asker)
        // A task of its own: if the caller's were cancelled between the commit and the queue, the job would wait until the
        // next start.
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

    private func admit(_ queries: [InfluenceQuery], _ asker: Asker?) throws(SubmissionError) -> JobIdentifier {
        guard !isStopping else { throw .stopping }
        return try queue.admit(queries, asker)
    }

    private func enqueue(_ job: WaitingJob) {
        if queue.enqueue(job) { wake(.change) }
    }

    /// Ends a job that has not ended: its queries leave the queue, or the running sweep at its next micro-batch.
    ///
    /// - Returns: The job as it is now, and whether this call ended it; `nil` if there is no such job.
    func cancel(_ id: JobIdentifier) async throws -> (job: Job, didCancel: Bool)? {
        if let job = cancelPassing(id) { return (job, true) }
        guard let (job, didCancel) = try await store.cancel(id) else { return nil }
        if didCancel {
            logger.info("job cancelled", metadata: ["job_id": "\(id)"])
            withdraw(id)
            removeOldJobsSoon()
        }
        return (job, didCancel)
    }

    /// Removes a job's queries from the queue, or from the running sweep at its next micro-batch.
    private func withdraw(_ id: JobIdentifier) {
        queue.withdraw(id)
        for batch in running { batch.cancel(id) }
        close(id)
        freedMemory?.note()
    }

    func close(_ id: JobIdentifier) {
        queue.close(id)
        wake(.end(of: id))
    }

    /// Suspends until a job has ended, the time is up, the server stops, or the calling task is cancelled.
    func waitForEnd(of id: JobIdentifier, seconds: Double) async {
        guard queue.isOpen(id), !isStopping else { return }
        await sleep(until: .end(of: id), seconds: seconds)
    }

    var running: [RunningBatch] { [current, overtaking].compactMap { $0 } }

    private func isSwept(_ job: JobIdentifier) -> Bool { running.contains { $0.jobs.contains(job) } }

    var load: QueueLoad { queue.load(running: running.reduce(0) { $0 + $1.queries.count }) }

    // MARK: - Passing jobs

    /// Answers a query in its turn, while the caller waits. Nothing of the job is written.
    ///
    /// The job waits among all others. Lists of jobs include it while it waits and runs, without its query. Nothing of it remains when it
    /// has ended, when the caller has disconnected, or when the process has died.
    ///
    /// - Returns: `nil` if the time is up, the calling task is cancelled or the server stops before there is an answer; the query has
    ///   then left the queue, or leaves the running sweep at its next micro-batch.
    /// - Throws: ``SubmissionError``.
    func answer(
        _ query: InfluenceQuery, asker: Asker?, within seconds: Double
    ) async throws(SubmissionError) -> QueryOutcome? {
        let id = try admit([query], asker)
        passing[id] = .awaited
        store.board.show(
            passing: Job(
                id: id, status: .queued, isList: false, queryCount: 1, failedQueryCount: 0,
                created: Date().inMilliseconds, attempts: 0, timings: JobTimings()))
        logger.info("query queued, without keeping its job", metadata: ["job_id": "\(id)"])
        enqueue(WaitingJob(id: id, queries: [query].waiting, attempts: 0, asker: asker?.id, isKept: false))
        await sleep(until: .end(of: id), seconds: seconds)
        defer { store.board.remove(passing: id) }
        if case .given(let outcome) = passing.removeValue(forKey: id) { return outcome }
        withdraw(id)
        return nil
    }

    /// Ends a passing job, and answers its request with the cancellation.
    ///
    /// - Returns: The job as it is now; `nil` if there is no such job.
    private func cancelPassing(_ id: JobIdentifier) -> Job? {
        guard passing[id] == .awaited, var job = store.board.snapshot(of: id)?.job else { return nil }
        logger.info("job cancelled", metadata: ["job_id": "\(id)"])
        job.status = .cancelled
        job.finished = Date().inMilliseconds
        give(.failure(QueryFailure(.cancelled)), to: id)
        withdraw(id)
        return job
    }

    /// Hands the answers of a sweep to the requests that wait for them.
    func give(_ results: [JobOutcomes]) {
        for result in results where passing[result.id] == .awaited {
            if let outcome = result.outcomes[0] { give(outcome, to: result.id) }
            close(result.id)
        }
    }

    private func give(_ outcome: QueryOutcome, to id: JobIdentifier) {
        passing[id] = .given(outcome)
        store.board.remove(passing: id)
    }

    // MARK: - Start and stop

    /// Starts the sweeps, first those that an earlier process left unfinished.
    ///
    /// - Throws: ``JobStoreError``.
    func start(_ engine: any ServiceEngine) async throws {
        guard loops.isEmpty, !isStopping else { return }
        self.engine = engine
        if let reason = store.rewritingFailure {
            logger.warning(
                "the job database keeps the disk space of deleted jobs, because it could not be rewritten",
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
        for job in recovery.jobs where queue.restore(job) {
            logger.notice("job queued again", metadata: ["job_id": "\(job.id)", "queries": "\(job.queries.count)"])
        }
        queue.resume(recovery.sweeps)
        loops = [Task { await self.runInOrder() }, Task { await self.runOvertaking() }]
    }

    private func log(_ fault: RecoveryFault) {
        switch fault {
        case .sweep(let id, let reason):
            logger.error(
                "the record of a sweep cannot be read: its queries are swept from the start",
                metadata: ["batch_id": "\(id)", "reason": "\(reason)"])
        case .job(let id, let reason):
            logger.error(
                "a job cannot be read, and has failed", metadata: ["job_id": "\(id)", "reason": "\(reason)"])
        }
    }

    /// Stops: running sweeps have `grace` seconds, and unfinished ones are resumed at the next start.
    func stop(grace: Double) async {
        isStopping = true
        for event in [Event.change, .retry] { wake(event) }
        // Requests that wait for a job of a running sweep may still see its end.
        let remaining = queue.openJobs.filter { !isSwept($0) || queue.isWaiting($0) }
        for job in remaining { wake(.end(of: job)) }
        store.board.dismissFollowers(of: remaining)
        guard !loops.isEmpty else { return }
        if !running.isEmpty { await sleep(until: .stop, seconds: grace) }
        for batch in running {
            logger.notice("sweep interrupted", metadata: ["batch_id": "\(batch.identity.id)"])
            batch.interrupt()
        }
        do {
            try await store.putBack(queue.openJobs.filter { passing[$0] == nil })
        } catch {
            logger.error("jobs could not be put back into the queue", metadata: ["error": "\(error)"])
        }
        store.board.dismissFollowers(of: queue.openJobs)
        // An engine checks for cancellation between micro-batches; one that does not must not keep the process alive.
        if !running.isEmpty { await sleep(until: .stop, seconds: 10) }
        for loop in loops { loop.cancel() }
    }

    // MARK: - Old jobs

    /// Removes old jobs after a second, because more jobs may be cancelled meanwhile.
    private func removeOldJobsSoon() {
        guard removal == nil, !isStopping else { return }
        removal = Task {
            try? await Task.sleep(for: .seconds(1))
            removal = nil
            await removeOldJobs()
        }
    }

    func removeOldJobs() async {
        do {
            try await expire()
        } catch {
            logger.error("old jobs could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private func expire() async throws {
        let oldest = Date(timeIntervalSinceNow: -jobs.keepDays * 86_400)
        let count = try await store.expire(
            keepCount: jobs.keepCount, keepBytes: jobs.keepResultBytes, endedBefore: oldest)
        guard count > 0 else { return }
        logger.info("old jobs removed", metadata: ["jobs": "\(count)"])
        try await store.compact()
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

    func wake(_ event: Event) { sleepers.wake(event) }

    private func wake(_ event: Event, token: Int) { sleepers.wake(event, token: token) }
}
