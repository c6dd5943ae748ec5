import Curvature
import Foundation
import Synchronization

@testable import Attribution

/// Answers queries at once or when told to, and remembers what it was asked.
///
/// A completion of " unusable" is refused by `validate` and by `answer`; one of " broken" fails in `answer`.
final class FakeEngine: ServiceEngine {
    private struct State {
        var sweeps: [[String]] = []
        var isHeld = false
        var report: InfluenceProgress?
        var cancelledInSweep: [String] = []
        var uploads: [SequenceUpload] = []
        var completing = 0
        var endsCompletions = false
        var abandonedCompletions = 0
    }

    private let state = Mutex(State())
    private let condition = NSCondition()

    /// The prompts of each sweep.
    var sweeps: [[String]] { state.withLock { $0.sweeps } }
    /// The prompts of queries that were cancelled while their sweep ran.
    var cancelledInSweep: [String] { state.withLock { $0.cancelledInSweep } }

    /// Completions of "endless" that run.
    var completing: Int { state.withLock { $0.completing } }
    /// Those that ended since nobody waited for them.
    var abandonedCompletions: Int { state.withLock { $0.abandonedCompletions } }

    /// What was uploaded, that which was refused included.
    var uploads: [SequenceUpload] { state.withLock { $0.uploads } }

    /// Makes sweeps wait in their second stage until ``release()``.
    func hold(reporting progress: InfluenceProgress = InfluenceProgress(stage: .sweep, done: 3, total: 8)) {
        state.withLock {
            $0.isHeld = true
            $0.report = progress
        }
    }

    func release() {
        state.withLock {
            $0.isHeld = false
            $0.endsCompletions = true
        }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    func validate(_ query: InfluenceQuery) throws {
        guard query.completion != " unusable" else { throw Self.unusable }
    }

    static let unusable = QueryError.unusable(field: "completion", reason: "has 9 tokens, and the model's context is 8")

    func answer(
        _ queries: [InfluenceQuery], checkpoint: (any SweepCheckpoint)?, control: WorkControl<InfluenceProgress>
    ) -> [Result<InfluenceResult, QueryError>] {
        let (progress, isCancelled) = (control.progress, control.isCancelled)
        let report = state.withLock { state in
            state.sweeps.append(queries.map(\.prompt))
            return state.report
        }
        progress(InfluenceProgress(stage: .gradients, done: 0, total: queries.count))
        progress(report ?? InfluenceProgress(stage: .sweep, done: 1, total: 1))
        condition.lock()
        while state.withLock({ $0.isHeld }), !queries.indices.allSatisfy(isCancelled) {
            _ = condition.wait(until: Date(timeIntervalSinceNow: 0.005))
        }
        condition.unlock()
        return queries.enumerated().map { index, query in
            if isCancelled(index) {
                state.withLock { $0.cancelledInSweep.append(query.prompt) }
                return .failure(.cancelled)
            }
            switch query.parts[0].completion {
            case " unusable": return .failure(Self.unusable)
            case " broken": return .failure(.failed(reason: "a matrix is not finite"))
            default: return .success(Self.result(for: query, batchSize: queries.count))
            }
        }
    }

    private static func understood(_ query: InfluenceQuery) -> InfluenceResult.UnderstoodQuery {
        guard let behaviour = query.behaviour else {
            return .init(
                id: query.id, prompt: query.prompt, completion: query.completion,
                tokens: [.init(id: 5, text: query.prompt), .init(id: 6, text: query.completion, logProbability: -0.5)],
                completionStart: 1, completionStartsInsideToken: false, logProbability: -0.5)
        }
        return .init(
            id: query.id, prompt: "", completion: "", tokens: [], completionStart: 0,
            completionStartsInsideToken: false, logProbability: -0.5, measurement: -0.25,
            parts: behaviour.map { part in
                .init(
                    prompt: part.prompt, completion: part.completion, contrast: part.contrast, weight: part.weight,
                    logProbability: -0.5, contrastLogProbability: part.contrast.map { _ in -1 },
                    share: 1 / Double(behaviour.count))
            }, combine: query.combine)
    }

    static func result(for query: InfluenceQuery, batchSize: Int) -> InfluenceResult {
        InfluenceResult(
            query: understood(query),
            timings: .init(gradients: 0.1, candidates: 0.2, sweep: 0.3, rescore: 0.4, batchSize: batchSize),
            candidates: .init(selection: "tfidf", considered: query.candidates.limit, corpusSequences: 2_000),
            method: query.rank == .faithful ? .init(estimator: query.estimator, rank: 48) : nil,
            distribution: ScoreDistribution((1...60).map { 2.5 / Double($0) }),
            sequences: query.candidates.texts.map(scores) ?? [
                InfluentialSequence(
                    rank: 1, id: sequence.id, text: sequence.text, source: sequence.source,
                    metadata: sequence.metadata, loss: sequence.loss, score: 2.5, natsPerCopy: 0.00125, spurious: false)
            ], allScores: query.allScores ? allScores : nil)
    }

    /// Scores texts by their length, and ranks them.
    private static func scores(of texts: [String]) -> [InfluentialSequence] {
        texts.enumerated().sorted { $0.element.count > $1.element.count }.enumerated().map { rank, text in
            InfluentialSequence(
                rank: rank + 1, id: "given-\(text.offset)", index: text.offset, text: text.element, source: "given",
                score: Double(text.element.count), natsPerCopy: Double(text.element.count) / 2_000, spurious: false)
        }
    }

    func complete(
        _ request: CompletionRequest, until deadline: ContinuousClock.Instant?, isCancelled: @Sendable () -> Bool
    ) throws -> CompletionResult {
        guard request.prompt != "too long" else {
            throw QueryError.unusable(field: "prompt", reason: "fills the model's context")
        }
        if request.prompt == "endless" { return try completeEndlessly(until: deadline, isCancelled: isCancelled) }
        return CompletionResult(
            prompt: request.prompt, completion: " seed \(request.seed)", tokens: [], finishReason: "length")
    }

    /// Goes on until the deadline, until nobody waits, or until ``release()``.
    private func completeEndlessly(
        until deadline: ContinuousClock.Instant?, isCancelled: @Sendable () -> Bool
    ) throws -> CompletionResult {
        state.withLock { $0.completing += 1 }
        defer { state.withLock { $0.completing -= 1 } }
        while !isCancelled() {
            let isReleased = state.withLock { $0.endsCompletions }
            if isReleased || deadline.map({ ContinuousClock.now >= $0 }) == true {
                return CompletionResult(
                    prompt: "endless", completion: " and", tokens: [], finishReason: "time_limit")
            }
            Thread.sleep(forTimeInterval: 0.001)
        }
        state.withLock { $0.abandonedCompletions += 1 }
        throw QueryError.cancelled
    }

    func identifiers(rowids: [Int64]) throws -> [String] { rowids.map { "s\($0), \"=\"" } }

    /// How many candidates a query with `all_scores` has: two chunks and a part.
    static let scored = 2 * 16_384 + 7

    /// The score of a rowid: its number, a negative one for odd rowids; the first is zero, and the last is not finite.
    static let allScores: CandidateScores = {
        var scores = CandidateScores()
        for rowid in 0..<scored {
            let score = rowid == scored - 1 ? Double.infinity : Double(rowid) * (rowid % 2 == 0 ? 0.5 : -0.5)
            scores.append(rowid: Int64(rowid), score: score, isRescored: rowid == 4)
        }
        return scores
    }()

    func search(_ text: String, limit: Int) throws -> [SearchHit] {
        guard text != "crash" else { throw QueryError.failed(reason: "the index cannot be read") }
        return text == "nothing" ? [] : [SearchHit(rank: 1, score: 7.5, sequence: Self.sequence)]
    }

    func sequence(_ id: String) throws -> SequenceDescription? { id == Self.sequence.id ? Self.sequence : nil }

    /// Its id has all that a path would take for its own.
    static let sequence = SequenceDescription(
        id: "wiki:Île de France/Paris#2 ?", documentID: "wiki:Île de France/Paris", piece: 2, tokenOffset: 512,
        tokenCount: 40, text: "Paris is the capital, \"la ville\nlumière\".", loss: [.init(start: 9, end: 21)],
        source: "wiki", metadata: ["title": "Paris"])

    /// Three sequences, of which the first and the last are of the source "wiki".
    func sequences(after rowid: Int64, source: String?, limit: Int) throws -> SequencePage {
        let all = (1...3).map { number in
            var sequence = Self.sequence
            sequence.id = "\(number)"
            if number == 2 { sequence.source = nil }
            return sequence
        }
        let rest = all.filter { Int64($0.id).map { $0 > rowid } == true && (source == nil || $0.source == source) }
        let shown = Array(rest.prefix(limit))
        return SequencePage(sequences: shown, next: rest.count > limit ? shown.last.flatMap { Int64($0.id) } : nil)
    }

    /// Adds a document a line. A body with one of the words below is refused.
    func ingest(_ upload: SequenceUpload) throws -> IngestionSummary {
        state.withLock { $0.uploads.append(upload) }
        let text = String(decoding: upload.body, as: UTF8.self)
        if text.contains("unusable") { throw IngestionError.unusable(line: 3, field: "text", reason: "it is empty") }
        if text.contains("malformed") { throw IngestionError.malformed(line: 2, reason: "it is not JSON") }
        if text.contains("many") { throw IngestionError.tooManyRecords(limit: upload.maximumRecords) }
        if text.contains("full") { throw IngestionError.diskFull }
        if text.contains("broken") { throw IngestionError.failed(reason: "the corpus is damaged") }
        let count = upload.form == .object ? 1 : text.split(separator: "\n").count
        return IngestionSummary(
            added: count, duplicates: 0, empty: 0, sequences: count, tokens: 9 * count,
            ids: Array(repeating: "a", count: count), corpus: Self.statistics)
    }

    private static let statistics = ModelSummary.Statistics(
        documents: 10, sequences: 2_000, tokens: 9_000, duplicates: 1)

    func measurements() throws -> EngineMeasurements {
        EngineMeasurements(sweptSequences: 30, sweptTokens: 900, factorBytes: 640, corpus: Self.statistics)
    }

    func describe() throws -> ModelSummary {
        ModelSummary(
            name: "tiny", architecture: "llama", parameters: 1_000, contextLength: 8, vocabulary: 100, digest: "abc",
            trackedLayers: [.init(name: "model.layers.0.mlp.up_proj", inputs: 4, outputs: 8)],
            factors: .init(fisher: "sampled", sequences: 2_000, tokens: nil, seed: 7, bytes: 640),
            corpus: Self.statistics, index: .init(sequences: 1_990, leading: 64, signs: 1_728, bytes: 421_880))
    }
}
