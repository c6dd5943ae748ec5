import Attribution
import Curvature
import Foundation
import Logging

extension QueryBatcher {
    // MARK: - Turns

    /// Runs sweeps one after the other, in the order of arrival.
    func runInOrder() async {
        while !isStopping {
            if let batch = takeInterrupted() {
                await runInTurn(batch)
                continue
            }
            guard let choice = choose() else {
                await sleep(until: .change, seconds: nil)
                continue
            }
            if let seconds = window(for: choice) {
                await sleep(until: .change, seconds: seconds)
                continue
            }
            await runInTurn(take(choice))
        }
    }

    private func runInTurn(_ batch: Batch) async {
        current = batch
        sleepers.wake(.change)
        await sweep(batch)
        current = nil
        await countCorpus()
        await removeOldJobs()
        sweepEnded()
    }

    /// Runs small sweeps while a large one has its turn, which holds meanwhile.
    func runOvertaking() async {
        while !isStopping {
            guard let held = current, !held.isSuspect, !held.isAbandoned, let choice = choose(overtaking: held) else {
                await sleep(until: .change, seconds: nil)
                continue
            }
            let rest = ContinuousClock.now.duration(to: restEnd) / .seconds(1)
            if let seconds = rest > 0 ? rest : window(for: choice) {
                await sleep(until: .change, seconds: seconds)
                continue
            }
            let batch = take(choice)
            overtaking = batch
            let start = ContinuousClock.now
            held.gate.close()
            logger.info(
                "sweep overtaken", metadata: ["batch_id": "\(held.identity.id)", "by": "\(batch.identity.id)"])
            await sweep(batch) { held.gate.open() }
            held.gate.open()
            restEnd = .now + .seconds(policy.rest(afterHolding: start.duration(to: .now) / .seconds(1)))
            overtaking = nil
            sweepEnded()
        }
    }

    private func sweepEnded() {
        freedMemory?.note()
        sleepers.wake(.change)
        if isStopping, running.isEmpty { sleepers.wake(.stop) }
    }

    // MARK: - Choosing

    private typealias Choice = [(place: Int, queries: Int)]

    /// The next sweep that may begin now, or that may overtake another.
    ///
    /// - Returns: `nil` if there is none.
    private func choose(overtaking held: Batch? = nil) -> Choice? {
        let taken = Set(interrupted.flatMap { $0.members.map(\.job) })
        let entries = waiting.map {
            SweepPolicy.Entry(job: $0.job, isBusy: isSwept($0.job.id) || taken.contains($0.job.id.description))
        }
        let choice = policy.next(
            of: entries, corpusSequences: corpusSequences, shape: shape, overtaking: held?.left)
        return choice.isEmpty ? nil : choice
    }

    /// How many seconds a sweep should wait for others to share it.
    ///
    /// - Returns: `nil` if it should wait no longer.
    private func window(for choice: Choice) -> Double? {
        guard choice.reduce(0, { $0 + $1.queries }) < policy.maximumQueries else { return nil }
        let first = choice.map { waiting[$0.place].arrived }.min() ?? .now
        let end = first + .milliseconds(batching.windowMilliseconds)
        let seconds = ContinuousClock.now.duration(to: end) / .seconds(1)
        return seconds > 0 ? seconds : nil
    }

    /// Takes queries out of the queue.
    private func take(_ choice: Choice) -> Batch {
        var slices: [WaitingJob] = []
        for (place, count) in choice {
            var slice = waiting[place].job
            slice.queries = Array(slice.queries.prefix(count))
            waiting[place].job.queries.removeFirst(count)
            slices.append(slice)
        }
        waiting.removeAll { $0.job.queries.isEmpty }
        return batch(of: slices)
    }

    /// Takes the queries of a sweep that an earlier process began out of the queue, as far as they are still wanted.
    private func takeInterrupted() -> Batch? {
        while !interrupted.isEmpty {
            let sweep = interrupted.removeFirst()
            var slices: [WaitingJob] = []
            for member in sweep.members {
                guard let place = waiting.firstIndex(where: { $0.job.id.description == member.job }) else { continue }
                var slice = waiting[place].job
                slice.queries.removeAll { !member.positions.contains($0.position) }
                // What the process has died of more than once runs alone.
                guard !slice.queries.isEmpty, slice.attempts <= 1 || sweep.members.count == 1 else { continue }
                slices.append(slice)
                waiting[place].job.queries.removeAll { member.positions.contains($0.position) }
            }
            waiting.removeAll { $0.job.queries.isEmpty }
            if !slices.isEmpty { return batch(of: slices, id: sweep.id) }
            discard(sweep.id)
        }
        return nil
    }

    /// What a sweep of an earlier process is expected to cost.
    func estimatedCost(of sweep: InterruptedSweep) -> Int {
        let queries = sweep.members.flatMap { member in
            waiting.first { $0.job.id.description == member.job }?.job.queries
                .filter { member.positions.contains($0.position) }.map(\.query) ?? []
        }
        return SweepCost(of: queries, corpusSequences: corpusSequences).sequences
    }

    private func discard(_ sweep: String) {
        Task {
            do {
                try await store.forget(sweep: sweep)
            } catch {
                logger.warning("a sweep could not be forgotten", metadata: ["error": "\(error)"])
            }
        }
    }

    private func batch(of slices: [WaitingJob], id: String? = nil) -> Batch {
        sweepCount += 1
        let ids = slices.map(\.id)
        return Batch(number: sweepCount, id: id, slices: slices, corpusSequences: corpusSequences) {
            [board = store.board] progress, secondsLeft in
            board.show(progress, secondsLeft: secondsLeft, of: ids)
        }
    }

    /// Learns how many sequences the corpus has, by which costs are estimated and queries admitted.
    func countCorpus() async {
        guard let engine else { return }
        do {
            let model = try await sweeps.run { try engine.describe() }
            corpusSequences = model.corpus.sequences
            shape = SweepShape(model)
        } catch {
            logger.warning(
                "the corpus could not be counted: costs are estimated as before", metadata: ["error": "\(error)"])
        }
    }

    // MARK: - One sweep

    /// - Parameter answered: Called when the engine is done, before the results are kept.
    private func sweep(_ batch: Batch, answered: @escaping @Sendable () -> Void = {}) async {
        guard let engine else { return }
        let start = ContinuousClock.now
        let metadata: Logger.Metadata = [
            "batch_id": "\(batch.identity.id)", "queries": "\(batch.queries.count)", "jobs": "\(batch.jobs.count)",
        ]
        logger.info("sweep started", metadata: metadata)
        await begin(batch)
        let notes = Task { await self.writeProgress(of: batch) }
        // What is not kept leaves no checkpoint either.
        let checkpoints = batch.keptJobs.isEmpty ? nil : checkpoints
        let (outcomes, checkpoint) = await sweeps.run {
            defer { answered() }
            let checkpoint = checkpoints?.open(batch.identity.id)
            let control = WorkControl<InfluenceProgress>(
                progress: { batch.note($0) }, isCancelled: { batch.isCancelled($0) }, step: { batch.gate.pass() })
            let answers =
                batch.isAbandoned
                ? batch.queries.map { _ in .failure(.cancelled) }
                : engine.answer(batch.queries, checkpoint: checkpoint, control: control)
            if batch.isInterrupted { checkpoint?.flush() }
            return (batch.outcomes(of: answers), checkpoint)
        }
        notes.cancel()
        await notes.value
        give(outcomes)
        let kept = Set(batch.keptJobs)
        let isOver = await keep(outcomes.filter { kept.contains($0.id) }, of: batch)
        if isOver { checkpoint?.remove() }
        let seconds = start.duration(to: .now) / .seconds(1)
        metrics.sweepEnded(
            queries: batch.queries.count, seconds: seconds, stages: outcomes.first?.seconds ?? [:],
            outcomes: outcomes.flatMap { $0.outcomes.values })
        logger.info("sweep finished", metadata: metadata.merging(["seconds": "\(seconds)"]) { $1 })
        for job in batch.jobs where !isWaiting(job) { close(job) }
    }

    /// Notes on disk that the sweep has begun, and of what it is made.
    private func begin(_ batch: Batch) async {
        store.board.begin(passing: batch.jobs, in: batch.identity)
        guard !batch.keptJobs.isEmpty else { return }
        do {
            let sweep = checkpoints.map {
                StartedSweep(members: batch.members, checkpointBytes: $0.bytes(of: batch.identity.id))
            }
            let started = try await store.start(batch.keptJobs, batch: batch.identity, sweep: sweep)
            for job in batch.keptJobs where !started.contains(job) { batch.cancel(job) }
        } catch {
            // The jobs stay "queued" on disk, which is what they are again if the process dies.
            logger.error("jobs could not be marked as running", metadata: ["error": "\(error)"])
        }
    }

    /// Writes results until it succeeds: a disk that is full may have room again, and a sweep's work is not thrown away.
    ///
    /// - Returns: Whether the sweep is over, and need not be taken up again.
    private func keep(_ results: [JobOutcomes], of batch: Batch) async -> Bool {
        guard !batch.keptJobs.isEmpty else { return true }
        while true {
            do {
                let isOver = !batch.isInterrupted
                try await store.record(results, ending: isOver ? batch.identity.id : nil)
                return isOver
            } catch {
                logger.error("results could not be written; trying again", metadata: ["error": "\(error)"])
                if isStopping { return false }
                await sleep(until: .retry, seconds: retryInterval / .seconds(1))
            }
        }
    }

    private func writeProgress(of batch: Batch) async {
        guard !batch.keptJobs.isEmpty else { return }
        var written: InfluenceProgress?
        while (try? await Task.sleep(for: progressInterval)) != nil {
            guard let progress = batch.progress, progress != written else { continue }
            do {
                try await store.note(progress, of: batch.keptJobs)
                written = progress
            } catch {
                logger.debug("progress could not be written", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Removes old jobs a moment later, as more may come to be cancelled at once.
    func removeOldJobsSoon() {
        guard removal == nil, !isStopping else { return }
        removal = Task {
            try? await Task.sleep(for: .seconds(1))
            removal = nil
            await removeOldJobs()
        }
    }

    private func removeOldJobs() async {
        do {
            try await expire()
        } catch {
            logger.error("old jobs could not be removed", metadata: ["error": "\(error)"])
        }
    }

    func expire() async throws {
        let oldest = Date(timeIntervalSinceNow: -jobs.keepDays * 86_400)
        let count = try await store.expire(
            keepCount: jobs.keepCount, keepBytes: jobs.keepResultBytes, endedBefore: oldest)
        guard count > 0 else { return }
        logger.info("old jobs removed", metadata: ["jobs": "\(count)"])
        try await store.compact()
    }
}
