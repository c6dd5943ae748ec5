import Attribution
import Foundation
import Synchronization

/// Queries of several jobs that share one sweep: what is asked, and how far it has come.
///
/// The engine's threads report to it while the batcher and requests look at it.
final class Batch: Sendable {
    let identity: JobTimings.Batch
    let queries: [InfluenceQuery]
    /// The jobs, in the order of their arrival.
    let jobs: [JobIdentifier]
    /// Those of them that the store has.
    let keptJobs: [JobIdentifier]
    let cost: SweepCost
    /// Whether a job of it may be what the process has died of: nothing else should run beside it.
    let isSuspect: Bool
    /// Holds the sweep at its next micro-batch while it is closed.
    let gate = Gate()
    /// Of each query: its job, and its position in that job's request.
    private let origins: [(job: JobIdentifier, position: Int)]
    private let onProgress: @Sendable (InfluenceProgress, _ secondsLeft: Double?) -> Void
    /// Guards how far the sweep is and who has cancelled. Nothing is told, and no gate moved, while it is locked.
    private let state: Mutex<State>

    private struct State {
        var progress: InfluenceProgress?
        var stageStart: ContinuousClock.Instant?
        var pace = StagePace()
        var seconds: [InfluenceProgress.Stage: Double] = [:]
        var cancelled: Set<JobIdentifier> = []
        var isInterrupted = false

        /// Adds the running stage's time.
        mutating func closeStage(at now: ContinuousClock.Instant) {
            guard let stage = progress?.stage, let start = stageStart else { return }
            seconds[stage, default: 0] += start.duration(to: now) / .seconds(1)
            stageStart = now
        }
    }

    /// - Parameters:
    ///   - id: That of a sweep that is taken up; `nil` for a new one.
    ///   - slices: Of each job, the queries that take part.
    ///   - onProgress: Told of each step forward and how long the stage will still take, from any thread.
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

    /// What the sweep is made of, as far as it is kept.
    var members: [SweepMember] {
        keptJobs.map { job in
            SweepMember(job: job.description, positions: origins.filter { $0.job == job }.map(\.position))
        }
    }

    /// The latest report of the engine.
    var progress: InfluenceProgress? { state.withLock { $0.progress } }

    /// The sequences that are left to run.
    var left: Int { cost.left(at: progress) }

    /// Takes a report of the engine, from any thread.
    func note(_ progress: InfluenceProgress) {
        let now = ContinuousClock.now
        let told = state.withLock { state -> (InfluenceProgress, Double?)? in
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
        if let told { onProgress(told.0, told.1) }
    }

    /// Whether a query's answer is no longer wanted.
    func isCancelled(_ query: Int) -> Bool {
        state.withLock { $0.isInterrupted || $0.cancelled.contains(origins[query].job) }
    }

    /// Whether no query's answer is wanted any more.
    var isAbandoned: Bool { state.withLock { $0.isInterrupted || jobs.allSatisfy($0.cancelled.contains) } }

    func cancel(_ job: JobIdentifier) {
        state.withLock { _ = $0.cancelled.insert(job) }
        // What is held learns of it and ends.
        if isAbandoned { gate.open() }
    }

    /// Ends the sweep for all of its jobs, to run again later.
    func interrupt() {
        state.withLock { $0.isInterrupted = true }
        gate.open()
    }

    var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

    /// The answers by job. Answers that a cancellation or interruption has cut short are left out.
    func outcomes(of answers: [Result<InfluenceResult, QueryError>]) -> [JobOutcomes] {
        let (seconds, isInterrupted) = state.withLock { state in
            state.closeStage(at: .now)
            return (state.seconds, state.isInterrupted)
        }
        var byJob: [JobIdentifier: [Int: QueryOutcome]] = [:]
        for (index, origin) in origins.enumerated() {
            let answer = index < answers.count ? answers[index] : .failure(.failed(reason: "the engine gave no answer"))
            if isInterrupted, case .failure(.cancelled) = answer { continue }
            byJob[origin.job, default: [:]][origin.position] = QueryOutcome(answer)
        }
        return jobs.map { JobOutcomes(id: $0, outcomes: byJob[$0] ?? [:], seconds: seconds) }
    }
}

/// How fast a stage of a sweep goes, and how long it will still take.
struct StagePace: Sendable {
    private var start: (time: ContinuousClock.Instant, done: Int)?

    /// - Returns: `nil` as long as there is nothing to tell it by.
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
