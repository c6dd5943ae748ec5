import Attribution
import Curvature
import Foundation
import Logging

extension QueryRunner {
    // MARK: - Turns

    func runInOrder() async {
        while !isStopping {
            if let batch = takeInterrupted() {
                await runInTurn(batch)
                continue
            }
            guard let choice = queue.next(beside: running) else {
                await sleep(until: .change, seconds: nil)
                continue
            }
            if let seconds = choice.secondsToWait {
                await sleep(until: .change, seconds: seconds)
                continue
            }
            await runInTurn(batch(of: queue.take(choice)))
        }
    }

    private func runInTurn(_ batch: RunningBatch) async {
        current = batch
        wake(.change)
        await sweep(batch)
        current = nil
        await countCorpus()
        await removeOldJobs()
        sweepEnded()
    }

    /// Runs small sweeps while the current one is large, and pauses it meanwhile.
    func runOvertaking() async {
        while !isStopping {
            guard let paused = current, !paused.isSuspect, !paused.isAbandoned,
                let choice = queue.next(beside: running, overtaking: paused)
            else {
                await sleep(until: .change, seconds: nil)
                continue
            }
            let cooldown = ContinuousClock.now.duration(to: cooldownEnd) / .seconds(1)
            if let seconds = cooldown > 0 ? cooldown : choice.secondsToWait {
                await sleep(until: .change, seconds: seconds)
                continue
            }
            let batch = batch(of: queue.take(choice))
            overtaking = batch
            let start = ContinuousClock.now
            paused.gate.close()
            logger.info(
                "sweep overtaken", metadata: ["batch_id": "\(paused.identity.id)", "by": "\(batch.identity.id)"])
            await sweep(batch) { paused.gate.open() }
            paused.gate.open()
            let pause = start.duration(to: .now) / .seconds(1)
            cooldownEnd = .now + .seconds(queue.policy.cooldown(afterPauseOf: pause))
            overtaking = nil
            sweepEnded()
        }
    }

    private func sweepEnded() {
        freedMemory?.note()
        wake(.change)
        if isStopping, running.isEmpty { wake(.stop) }
    }

    /// The next batch of an earlier process that still has queries to answer.
    private func takeInterrupted() -> RunningBatch? {
        while let (id, slices) = queue.takeInterrupted() {
            if !slices.isEmpty { return batch(of: slices, id: id) }
            Task {
                do {
                    try await store.forget(sweep: id)
                } catch {
                    logger.warning("the record of a sweep could not be deleted", metadata: ["error": "\(error)"])
                }
            }
        }
        return nil
    }

    private func batch(of slices: [WaitingJob], id: String? = nil) -> RunningBatch {
        sweepCount += 1
        let ids = slices.map(\.id)
        return RunningBatch(number: sweepCount, id: id, slices: slices, corpusSequences: queue.corpusSequences) {
            [board = store.board] progress, secondsLeft in
            board.show(progress, secondsLeft: secondsLeft, of: ids)
        }
    }

    /// Reads the sizes of the corpus and the model, from which the queue estimates costs.
    func countCorpus() async {
        guard let engine else { return }
        do {
            let model = try await sweeps.run { try engine.describe() }
            queue.corpusSequences = model.corpus.sequences
            queue.shape = SweepShape(model)
        } catch {
            logger.warning(
                "the corpus could not be counted: costs are estimated as before", metadata: ["error": "\(error)"])
        }
    }

    // MARK: - One sweep

    /// - Parameter answered: Called when the engine is done, before the results are kept.
    private func sweep(_ batch: RunningBatch, answered: @escaping @Sendable () -> Void = {}) async {
        guard let engine else { return }
        let start = ContinuousClock.now
        let metadata: Logger.Metadata = [
            "batch_id": "\(batch.identity.id)", "queries": "\(batch.queries.count)", "jobs": "\(batch.jobs.count)",
        ]
        logger.info("sweep started", metadata: metadata)
        await begin(batch)
        let notes = Task { await self.writeProgress(of: batch) }
        // Passing jobs leave no checkpoint either.
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
        for job in batch.jobs where !queue.isWaiting(job) { close(job) }
    }

    /// Writes to the store that the sweep has begun, and which queries it has.
    private func begin(_ batch: RunningBatch) async {
        store.board.begin(passing: batch.jobs, in: batch.identity)
        guard !batch.keptJobs.isEmpty else { return }
        do {
            let sweep = checkpoints.map {
                StartedSweep(members: batch.members, checkpointBytes: $0.bytes(of: batch.identity.id))
            }
            let started = try await store.start(batch.keptJobs, batch: batch.identity, sweep: sweep)
            for job in batch.keptJobs where !started.contains(job) { batch.cancel(job) }
        } catch {
            // The jobs remain "queued" on disk, which is right if the process dies.
            logger.error("jobs could not be marked as running", metadata: ["error": "\(error)"])
        }
    }

    /// Writes results until that succeeds: a full disk may have space again later, and the work of a sweep must not be lost.
    ///
    /// - Returns: Whether the sweep is over, and need not be resumed.
    private func keep(_ results: [JobOutcomes], of batch: RunningBatch) async -> Bool {
        guard !batch.keptJobs.isEmpty else { return true }
        while true {
            do {
                let isOver = !batch.isInterrupted
                try await store.record(results, ending: isOver ? batch.identity.id : nil)
                return isOver
            } catch {
                logger.error("results could not be written; trying again", metadata: ["error": "\(error)"])
                if isStopping { return false }
                await sleep(until: .retry, seconds: intervals.retry / .seconds(1))
            }
        }
    }

    private func writeProgress(of batch: RunningBatch) async {
        guard !batch.keptJobs.isEmpty else { return }
        var written: InfluenceProgress?
        while (try? await Task.sleep(for: intervals.progress)) != nil {
            guard let progress = batch.progress, progress != written else { continue }
            do {
                try await store.note(progress, of: batch.keptJobs)
                written = progress
            } catch {
                logger.debug("progress could not be written", metadata: ["error": "\(error)"])
            }
        }
    }
}
