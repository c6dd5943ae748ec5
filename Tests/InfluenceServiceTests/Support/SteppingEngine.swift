import Curvature
import Foundation
import Sequences
import Synchronization

@testable import Attribution

/// Sweeps in a number of steps, as an engine does in micro-batches, and keeps each in the checkpoint.
///
/// A query's prompt names it. Steps of a query can be made to wait.
final class SteppingEngine: ServiceEngine {
    private struct State {
        var ran: [String: Int] = [:]
        var log: [String] = []
        var stops: [String: Int] = [:]
        var progress: [String: Int] = [:]
    }

    let steps: Int
    private let state = Mutex(State())
    private let fake = FakeEngine()

    init(steps: Int = 40) {
        self.steps = steps
    }

    /// How many steps of the sweep that a query leads have been run, and not taken up from a checkpoint.
    func ran(_ prompt: String) -> Int { state.withLock { $0.ran[prompt, default: 0] } }
    /// What has begun and ended, by the prompts of the sweep's queries.
    var log: [String] { state.withLock { $0.log } }

    /// Makes the sweep that a query leads wait before a step; `nil` lets it go on.
    func stop(_ prompt: String, before step: Int?) { state.withLock { $0.stops[prompt] = step } }

    func waitUntil(_ prompt: String, hasRun count: Int) async throws {
        while ran(prompt) < count { try await Task.sleep(for: .milliseconds(1)) }
    }

    func answer(
        _ queries: [InfluenceQuery], checkpoint: (any SweepCheckpoint)?, control: WorkControl<InfluenceProgress>
    ) -> [Result<InfluenceResult, QueryError>] {
        let name = queries.map(\.prompt).joined(separator: "+")
        let lead = queries[0].prompt
        let keys = queries.map { Self.key("\($0.prompt)\u{0}\($0.completion)") }
        state.withLock { $0.log.append("\(name) begins") }
        defer { state.withLock { $0.log.append("\(name) ends") } }
        for step in 0..<steps {
            try? control.step()
            while let stop = state.withLock({ $0.stops[lead] }), step >= stop, !isOver(queries, control) {
                Thread.sleep(forTimeInterval: 0.001)
                try? control.step()
            }
            if isOver(queries, control) { break }
            let sequence = Self.key("sequence \(step)")
            if checkpoint?.scores(of: sequence, for: keys) == nil {
                state.withLock { $0.ran[lead, default: 0] += 1 }
                let scores = queries.map { _ in SequenceScore(tokens: [Double(step)], keepingTokens: false, layers: nil)
                }
                checkpoint?.keep([ScoredSequence(sequence: sequence, scores: scores)], for: keys)
            }
            control.progress(InfluenceProgress(stage: .sweep, done: step + 1, total: steps))
        }
        return queries.indices.map { index in
            control.isCancelled(index)
                ? .failure(.cancelled) : .success(FakeEngine.result(for: queries[index], batchSize: queries.count))
        }
    }

    private func isOver(_ queries: [InfluenceQuery], _ control: WorkControl<InfluenceProgress>) -> Bool {
        queries.indices.allSatisfy(control.isCancelled)
    }

    private static func key(_ text: String) -> ContentKey {
        ContentKey(sequence: TrainingSequence(tokens: text.unicodeScalars.map { Int32($0.value) }))
    }

    func validate(_ query: InfluenceQuery) throws { try fake.validate(query) }
    func complete(
        _ request: CompletionRequest, until deadline: ContinuousClock.Instant?, isCancelled: @Sendable () -> Bool
    ) throws -> CompletionResult {
        try fake.complete(request, until: deadline, isCancelled: isCancelled)
    }
    func identifiers(rowids: [Int64]) throws -> [String] { try fake.identifiers(rowids: rowids) }
    func search(_ text: String, limit: Int) throws -> [SearchHit] { try fake.search(text, limit: limit) }
    func sequence(_ id: String) throws -> SequenceDescription? { try fake.sequence(id) }
    func sequences(after rowid: Int64, source: String?, limit: Int) throws -> SequencePage {
        try fake.sequences(after: rowid, source: source, limit: limit)
    }
    func ingest(_ upload: SequenceUpload) throws -> IngestionSummary { try fake.ingest(upload) }
    func measurements() throws -> EngineMeasurements { try fake.measurements() }
    func describe() throws -> ModelSummary { try fake.describe() }
}
