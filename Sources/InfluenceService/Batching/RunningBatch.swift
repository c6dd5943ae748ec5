import Attribution
import Foundation
import Synchronization

/// A query batch, the queries of several jobs that share one sweep, and the progress of that sweep.
///
/// The engine's threads report to it while the runner reads it.
final class RunningBatch: Sendable {
    let identity: JobTimings.Batch
    let queries: [InfluenceQuery]
    /// The jobs, in the order of their arrival.
    let jobs: [JobIdentifier]
    let keptJobs: [JobIdentifier]
    let cost: SweepCost
    /// Whether one of its jobs may have caused the death of an earlier process. If so, nothing else should run beside it.
    let isSuspect: Bool
    /// Pauses the sweep at its next micro-batch while it is closed.
    let gate = Gate()
    /// Each query's job, and the query's position in that job's request.
    private let origins: [(job: JobIdentifier, position: Int)]
    private let onProgress: @Sendable (InfluenceProgress, _ secondsLeft: Double?) -> Void
    /// Guards the sweep's progress and the cancelled jobs. Nothing is reported, and no gate is opened, while it is locked.
    private let state: Mutex<State>

    private struct State {
        var progress: InfluenceProgress?
        var stageStart: ContinuousClock.Instant?
        var pace = StagePace()
        var seconds: [InfluenceProgress.Stage: Double] = [:]
        var cancelled: Set<JobIdentifier> = []
        var isInterrupted = false

        mutating func closeStage(at now: ContinuousClock.Instant) {
            guard let stage = progress?.stage, let start = stageStart else { return }
            seconds[stage, default: 0] += start.duration(to: now) / .seconds(1)
            stageStart = now
        }
    }

    /// - Parameters:
    ///   - id: The id of a sweep that is resumed; `nil` for a new one.
    ///   - slices: Each job with those of its queries that take part.
    ///   - onProgress: Receives, from any thread, each step of the progress and how long the stage will still take.
    init(
        number: Int, id: String? = nil, slices: [WaitingJob], corpusSequences: Int,
        onProgress: @escaping @Sendable (InfluenceProgress, _ secondsLeft: Double?) -> Void = { _, _ in }
    ) {
        queries = slices.flatMap { $0.queries.map(\.query) }
        origins = slices.flatMap { job in job.queries.map { (job.id, $0.position) } }
        jobs = slices.map(\.id)
        keptJobs = slices.filter(\.isKept).map(\.id)
        cost = SweepCost(of: queries, corpusSequences: corpusSequences)
        isSuspect = slices.contains { $0.attempts > 1 }
        identity = JobTimings.Batch(id: id ?? JobIdentifier().description, size: queries.count, number: number)
        self.onProgress = onProgress
        state = Mutex(State())
    }

    /// The queries of the jobs that the store has.
    var members: [SweepMember] {
        keptJobs.map { job in
            SweepMember(job: job.description, positions: origins.filter { $0.job == job }.map(\.position))
        }
    }

    var progress: InfluenceProgress? { state.withLock { $0.progress } }

    var remaining: Int { cost.remaining(at: progress) }

    func note(_ progress: InfluenceProgress) {
        let now = ContinuousClock.now
        let report = state.withLock { state -> (InfluenceProgress, Double?)? in
            if let current = state.progress, current.stage == progress.stage {
                // Reports of several threads may overtake each other.
                guard progress.done > current.done || progress.total != current.total else { return nil }
            } else {
                state.closeStage(at: now)
                state.stageStart = now
                state.pace = StagePace()
            }
            state.progress = progress
            return (progress, state.pace.secondsLeft(at: progress, now: now))
        }
        if let report { onProgress(report.0, report.1) }
    }

    func isCancelled(_ query: Int) -> Bool {
        state.withLock { $0.isInterrupted || $0.cancelled.contains(origins[query].job) }
    }

    var isAbandoned: Bool { state.withLock { $0.isInterrupted || jobs.allSatisfy($0.cancelled.contains) } }

    func cancel(_ job: JobIdentifier) {
        state.withLock { _ = $0.cancelled.insert(job) }
        // A paused sweep sees the cancellation only if it continues.
        if isAbandoned { gate.open() }
    }

    /// Ends the sweep for all of its jobs, which run again later.
    func interrupt() {
        state.withLock { $0.isInterrupted = true }
        gate.open()
    }

    var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

    /// The answers by job. Answers that an interruption has cut short are left out.
    func outcomes(of answers: [Result<InfluenceResult, QueryError>]) -> [JobOutcomes] {
        let (seconds, isInterrupted) = state.withLock { state in
            state.closeStage(at: .now)
            return (state.seconds, state.isInterrupted)
        }
        var byJob: [JobIdentifier: JobOutcomes] = [:]
        for job in jobs { byJob[job] = JobOutcomes(id: job, outcomes: [:], seconds: seconds) }
        for (index, origin) in origins.enumerated() {
            let answer = index < answers.count ? answers[index] : .failure(.failed(reason: "the engine gave no answer"))
            if isInterrupted, case .failure(.cancelled) = answer { continue }
            byJob[origin.job]?.take(answer, at: origin.position)
        }
        return jobs.compactMap { byJob[$0] }
    }
}

/// Estimates how long a stage of a sweep will still take, from its pace so far.
struct StagePace: Sendable {
    private var start: (time: ContinuousClock.Instant, done: Int)?

    /// - Returns: `nil` until the stage has advanced.
    mutating func secondsLeft(at progress: InfluenceProgress, now: ContinuousClock.Instant) -> Double? {
        guard let start else {
            start = (now, progress.done)
            return nil
        }
        let done = progress.done - start.done
        guard done > 0 else { return nil }
        return start.time.duration(to: now) / .seconds(1) / Double(done)
            * Double(max(progress.total - progress.done, 0))
    }
}
