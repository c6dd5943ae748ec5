import Attribution
import Foundation
import Logging

/// Gathers the queries of all jobs into sweeps, one sweep at a time.
///
/// Queries that arrive while a sweep runs share the next one. A job's queries stay together if they fit; a list that is longer
/// than a batch runs in several sweeps, with its results kept after each. No job overtakes another.
public actor QueryBatcher {
    private let store: JobStore
    private let batching: Configuration.Batching
    private let jobs: Configuration.Jobs
    private let logger: Logger
    private let metrics: ServiceMetrics
    private let progressInterval: Duration
    private let retryInterval: Duration
    /// The sweep blocks its thread: one of its own, at a lower priority than what answers requests.
    private let sweeps = BlockingLane("tributary.sweep", width: 1, qualityOfService: .utility)

    private var engine: (any InfluenceAnswering)?
    private var waiting: [WaitingJob] = []
    /// When the first of the waiting jobs has waited for others long enough.
    private var windowEnd = ContinuousClock.now
    private var current: Batch?
    /// The queries of each job that has not ended: its part of the limit.
    private var open: [JobIdentifier: Int] = [:]
    private var sweepCount = 0
    private var isStopping = false
    private var loop: Task<Void, Never>?
    private var sleepers = Sleepers<Event>()

    private enum Event: Hashable {
        case arrival
        case fullBatch
        case end(of: JobIdentifier)
        case stop
        case retry
    }

    /// - Parameters:
    ///   - progressInterval: How often a running job's progress is written to the store.
    ///   - retryInterval: How long to wait before results that could not be written are written again.
    init(
        store: JobStore, batching: Configuration.Batching, jobs: Configuration.Jobs, logger: Logger,
        metrics: ServiceMetrics = ServiceMetrics(), progressInterval: Duration = .seconds(2),
        retryInterval: Duration = .seconds(5)
    ) {
        self.store = store
        self.batching = batching
        self.jobs = jobs
        self.logger = logger
        self.metrics = metrics
        self.progressInterval = progressInterval
        self.retryInterval = retryInterval
    }

    // MARK: - Jobs

    /// Keeps a job and queues it. The job is on disk when this returns.
    ///
    /// - Throws: ``SubmissionError``, ``JobStoreError``.
    public func submit(_ queries: [InfluenceQuery], isList: Bool) async throws -> Job {
        guard !isStopping else { throw SubmissionError.stopping }
        let count = open.values.reduce(0, +)
        guard count + queries.count <= jobs.maximumQueuedQueries else {
            throw SubmissionError.queueFull(queries: count, limit: jobs.maximumQueuedQueries)
        }
        let id = JobIdentifier()
        open[id] = queries.count
        // A task of its own: the asker's may be cancelled between the commit and the queue, and the job would then wait
        // until the next start.
        let keeping = Task { [store] in try await store.add(queries, isList: isList, id: id) }
        do {
            let job = try await keeping.value
            logger.info("job queued", metadata: ["job_id": "\(id)", "queries": "\(queries.count)"])
            let queued = queries.enumerated().map { WaitingQuery(position: $0.offset, query: $0.element) }
            enqueue(WaitingJob(id: id, queries: queued, attempts: 0))
            return job
        } catch {
            open[id] = nil
            throw error
        }
    }

    private func enqueue(_ job: WaitingJob) {
        // Cancelled while it was being written.
        guard open[job.id] != nil else { return }
        if waiting.isEmpty { windowEnd = .now + .milliseconds(batching.windowMilliseconds) }
        waiting.append(job)
        sleepers.wake(.arrival)
        if isBatchFull { sleepers.wake(.fullBatch) }
    }

    private var isBatchFull: Bool { waiting.reduce(0) { $0 + $1.queries.count } >= batching.maximumQueries }

    /// Ends a job that has not ended: its queries leave the queue, or the running sweep at its next micro-batch.
    ///
    /// - Returns: The job as it is now, and whether this call ended it; `nil` if there is none of that id.
    public func cancel(_ id: JobIdentifier) async throws -> (job: Job, didCancel: Bool)? {
        guard let (job, didCancel) = try await store.cancel(id) else { return nil }
        if didCancel {
            logger.info("job cancelled", metadata: ["job_id": "\(id)"])
            waiting.removeAll { $0.id == id }
            current?.cancel(id)
            close(id)
        }
        return (job, didCancel)
    }

    /// How much there is to do.
    var load: QueueLoad {
        QueueLoad(
            waitingQueries: waiting.reduce(0) { $0 + $1.queries.count },
            runningQueries: current?.queries.count ?? 0, limit: jobs.maximumQueuedQueries)
    }

    /// How far the sweep of a running job has come; `nil` if none of its queries are in the sweep.
    public func progress(of id: JobIdentifier) -> InfluenceProgress? {
        guard let current, current.jobs.contains(id) else { return nil }
        return current.progress
    }

    /// Suspends until a job has ended, the time is up, the server stops, or the calling task is cancelled.
    public func waitForEnd(of id: JobIdentifier, seconds: Double) async {
        guard open[id] != nil, !isStopping else { return }
        await sleep(until: .end(of: id), seconds: seconds)
    }

    private func close(_ id: JobIdentifier) {
        open[id] = nil
        sleepers.wake(.end(of: id))
    }

    // MARK: - Start and stop

    /// Starts the sweeps, first those of jobs that an earlier process left unfinished.
    ///
    /// - Throws: ``JobStoreError``.
    public func start(_ engine: any InfluenceAnswering) async throws {
        guard loop == nil, !isStopping else { return }
        self.engine = engine
        try await expire()
        let recovered = try await store.recover(maximumAttempts: jobs.maximumAttempts)
        for job in recovered where open[job.id] == nil {
            open[job.id] = job.queries.count
            logger.notice(
                "job queued again", metadata: ["job_id": "\(job.id)", "queries": "\(job.queries.count)"])
            enqueue(job)
        }
        loop = Task { await self.run() }
    }

    /// Stops: the running sweep is given `grace` seconds, and what is then unfinished runs again at the next start.
    public func stop(grace: Double) async {
        isStopping = true
        for event in [Event.arrival, .fullBatch, .retry] { sleepers.wake(event) }
        // Whoever waits for a job of the running sweep may still see its end.
        for job in open.keys where current?.jobs.contains(job) != true || isWaiting(job) {
            sleepers.wake(.end(of: job))
        }
        guard loop != nil else { return }
        if current != nil { await sleep(until: .stop, seconds: grace) }
        if let current {
            logger.notice("sweep interrupted", metadata: ["batch_id": "\(current.identity.id)"])
            current.interrupt()
        }
        do {
            try await store.putBack(Array(open.keys))
        } catch {
            logger.error("jobs could not be put back into the queue", metadata: ["error": "\(error)"])
        }
        // An engine looks at its cancellation between micro-batches; one that does not must not keep the process alive.
        if current != nil { await sleep(until: .stop, seconds: 10) }
        loop?.cancel()
    }

    // MARK: - Sweeps

    private func run() async {
        while !isStopping {
            guard !waiting.isEmpty else {
                await sleep(until: .arrival, seconds: nil)
                continue
            }
            if !isBatchFull {
                await sleep(until: .fullBatch, seconds: ContinuousClock.now.duration(to: windowEnd) / .seconds(1))
            }
            guard !isStopping, !waiting.isEmpty, let engine else { continue }
            sweepCount += 1
            let batch = Batch(number: sweepCount, slices: takeSlices())
            current = batch
            await sweep(batch, engine: engine)
            current = nil
            do { try await expire() } catch {
                logger.error("old jobs could not be removed", metadata: ["error": "\(error)"])
            }
        }
        sleepers.wake(.stop)
    }

    /// Takes the next batch from the queue, in order.
    private func takeSlices() -> [WaitingJob] {
        var slices: [WaitingJob] = []
        var room = batching.maximumQueries
        while let next = waiting.first, room > 0 {
            // What the process has died of more than once runs alone, lest it take others with it.
            let runsAlone = next.attempts > 1
            if runsAlone && !slices.isEmpty { break }
            if next.queries.count <= room {
                slices.append(waiting.removeFirst())
            } else if slices.isEmpty {
                slices.append(
                    WaitingJob(id: next.id, queries: Array(next.queries.prefix(room)), attempts: next.attempts))
                waiting[0].queries.removeFirst(room)
            } else {
                break
            }
            room -= slices.last?.queries.count ?? 0
            if runsAlone { break }
        }
        return slices
    }

    private func sweep(_ batch: Batch, engine: any InfluenceAnswering) async {
        let start = ContinuousClock.now
        let metadata: Logger.Metadata = [
            "batch_id": "\(batch.identity.id)", "queries": "\(batch.queries.count)", "jobs": "\(batch.jobs.count)",
        ]
        logger.info("sweep started", metadata: metadata)
        do {
            let started = try await store.start(batch.jobs, batch: batch.identity)
            for job in batch.jobs where !started.contains(job) { batch.cancel(job) }
        } catch {
            // The jobs stay "queued" on disk, which is what they are again if the process dies.
            logger.error("jobs could not be marked as running", metadata: ["error": "\(error)"])
        }
        let notes = Task { await self.writeProgress(of: batch) }
        let results = try? await sweeps.run {
            let answers =
                batch.isAbandoned
                ? batch.queries.map { _ in .failure(.cancelled) }
                : engine.answer(batch.queries, progress: { batch.note($0) }, isCancelled: { batch.isCancelled($0) })
            return batch.outcomes(of: answers)
        }
        notes.cancel()
        await notes.value
        await keep(results ?? [])
        let seconds = start.duration(to: .now) / .seconds(1)
        metrics.sweepEnded(
            queries: batch.queries.count, seconds: seconds, stages: results?.first?.seconds ?? [:],
            outcomes: (results ?? []).flatMap { $0.outcomes.values })
        logger.info("sweep finished", metadata: metadata.merging(["seconds": "\(seconds)"]) { $1 })
        for job in batch.jobs where !isWaiting(job) { close(job) }
    }

    private func isWaiting(_ job: JobIdentifier) -> Bool { waiting.contains { $0.id == job } }

    /// Writes results until it succeeds: a disk that is full may have room again, and a sweep's work is not thrown away.
    private func keep(_ results: [JobOutcomes]) async {
        while true {
            do {
                return try await store.record(results)
            } catch {
                logger.error("results could not be written; trying again", metadata: ["error": "\(error)"])
                if isStopping { return }
                await sleep(until: .retry, seconds: retryInterval / .seconds(1))
            }
        }
    }

    private func writeProgress(of batch: Batch) async {
        var written: InfluenceProgress?
        while (try? await Task.sleep(for: progressInterval)) != nil {
            guard let progress = batch.progress, progress != written else { continue }
            do {
                try await store.note(progress, of: batch.jobs)
                written = progress
            } catch {
                logger.debug("progress could not be written", metadata: ["error": "\(error)"])
            }
        }
    }

    private func expire() async throws {
        let oldest = Date(timeIntervalSinceNow: -jobs.keepDays * 86_400)
        let count = try await store.expire(keepCount: jobs.keepCount, endedBefore: oldest)
        if count > 0 { logger.info("old jobs removed", metadata: ["jobs": "\(count)"]) }
    }

    // MARK: - Waiting

    /// Suspends until an event, a time-out or the task's cancellation.
    private func sleep(until event: Event, seconds: Double?) async {
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
    /// Queries of the sweep that runs.
    var runningQueries: Int
    /// Queries that may wait and run.
    var limit: Int
}

/// Why a job is not accepted.
public enum SubmissionError: Error, Equatable {
    case queueFull(queries: Int, limit: Int)
    case stopping
}
