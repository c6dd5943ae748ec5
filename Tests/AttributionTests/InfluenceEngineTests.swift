import Curvature
import Synchronization
import TestSupport
import Testing

@testable import Attribution

@Suite("The influence engine")
struct InfluenceEngineTests {
    private let tiny: TinyEngine
    private let query = InfluenceQuery(
        prompt: "In the beginning God created", completion: " the heaven and the earth.", topK: 5)

    private var engine: InfluenceEngine { tiny.engine }

    init() throws { tiny = try TinyEngine() }

    @Test("ranks proponents by their scores, with text, source and metadata")
    func proponents() throws {
        let result = try tiny.answer(query)
        #expect(result.sequences.count == 5)
        #expect(result.sequences.map(\.rank) == [1, 2, 3, 4, 5])
        #expect(result.sequences.map(\.score) == result.sequences.map(\.score).sorted(by: >))
        #expect(result.sequences.allSatisfy { $0.score > 0 && $0.layers == nil && $0.tokens == nil })
        let first = try #require(result.sequences.first)
        let number = try #require(Int(first.id.dropFirst("text-".count)))
        #expect(first.source == (number % 2 == 0 ? "even" : "odd"))
        #expect(first.metadata == ["number": .number(String(number))])
        #expect(first.text == tiny.texts[number])
        #expect(abs(first.natsPerCopy - first.score / Double(result.candidates.corpusSequences)) < 1e-12)
        #expect(result.query.tokens.map(\.text).joined() == query.prompt + query.completion)
        let logProbabilities = result.query.tokens.compactMap(\.logProbability)
        #expect(logProbabilities.count == result.query.tokens.count - result.query.completionStart)
        #expect(abs(logProbabilities.reduce(0, +) - result.query.logProbability) < 1e-9)
    }

    @Test("ranks opponents from the most opposed, and gives both directions apart")
    func directions() throws {
        var both = query
        both.direction = .both
        both.candidates.prefilter = .all
        let result = try tiny.answer(both)
        let negative = result.sequences.filter { $0.score < 0 }
        #expect(result.sequences.filter { $0.score > 0 }.count == 5)
        #expect(negative.map(\.rank) == [1, 2, 3, 4, 5])
        #expect(negative.map(\.score) == negative.map(\.score).sorted())
        both.direction = .negative
        #expect(try tiny.answer(both).sequences == negative)
    }

    @Test("gives the same scores for a query alone and among others")
    func batches() throws {
        let other = InfluenceQuery(
            prompt: "And the LORD spake unto Moses,", completion: " saying,", topK: 5, rank: .limited(4), rescore: 2)
        let together = engine.answer([query, other, query])
        let alone = try tiny.answer(query)
        for result in [try together[0].get(), try together[2].get()] {
            #expect(result.sequences.map(\.id) == alone.sequences.map(\.id))
            for (a, b) in zip(result.sequences, alone.sequences) { #expect(abs(a.score - b.score) < 1e-4 * b.score) }
            #expect(result.timings.batchSize == 3)
        }
        #expect(try together[1].get().sequences.map(\.id) == (try tiny.answer(other)).sequences.map(\.id))
    }

    @Test(
        "breaks scores down into layers and tokens that add up, also for sequences not scored again",
        arguments: [0, 2, 100])
    func breakdown(rescore: Int) throws {
        var detailed = query
        detailed.rescore = rescore
        detailed.attribution = InfluenceQuery.Breakdown(layers: true, tokens: true)
        let result = try tiny.answer(detailed)
        for sequence in result.sequences {
            let layers = try #require(sequence.layers)
            let tokens = try #require(sequence.tokens)
            #expect(layers.count == engine.factors.tracked.layers.count)
            #expect(abs(layers.reduce(0) { $0 + $1.score } - sequence.score) < 1e-4 * abs(sequence.score))
            #expect(abs(tokens.reduce(0) { $0 + $1.score } - sequence.score) < 1e-4 * abs(sequence.score))
            #expect(tokens.map(\.text).joined() == sequence.text)
        }
    }

    @Test("scores again with the full gradient, so that a low rank does not show in the result")
    func rescoring() throws {
        var full = query
        full.rank = .full
        full.candidates.prefilter = .all
        var low = full
        low.rank = .limited(8)
        low.rescore = 60
        let expected = try tiny.answer(full)
        let found = try tiny.answer(low)
        #expect(found.sequences.map(\.id) == expected.sequences.map(\.id))
        low.rescore = 0
        let swept = try tiny.answer(low)
        #expect(swept.sequences.map(\.score) != expected.sequences.map(\.score))
        for (a, b) in zip(found.sequences, expected.sequences) { #expect(abs(a.score - b.score) < 1e-4 * b.score) }
    }

    @Test("scores only the candidates asked for")
    func candidates() throws {
        var named = query
        named.topK = 60
        named.direction = .both
        named.candidates = CandidateSelection(ids: ["text-3", "text-8", "text-3"])
        #expect(Set(try tiny.answer(named).sequences.map(\.id)) == ["text-3", "text-8"])
        named.candidates = CandidateSelection(prefilter: .all, source: "odd")
        #expect(try tiny.answer(named).sequences.allSatisfy { $0.source == "odd" })
        #expect(try !tiny.answer(named).sequences.isEmpty)
        named.candidates = CandidateSelection(limit: 7)
        #expect(try tiny.answer(named).candidates.considered == 7)
        named.candidates = CandidateSelection(ids: ["text-3", "nothing of that name"])
        #expect(throws: QueryError.self) { try tiny.answer(named) }
        #expect(throws: QueryError.self) { try engine.validate(named) }
    }

    @Test("refuses a source that the corpus does not have, and lists those that it has")
    func unknownSource() throws {
        for source in ["nowhere", "od", "Odd", "odd\0"] {
            var asked = query
            asked.candidates = CandidateSelection(source: source)
            guard case .failure(.unusable(let field, let reason)) = engine.answer([asked])[0] else {
                Issue.record("\(source) was not refused")
                continue
            }
            #expect(field == "candidates.source" && reason.contains("\"odd\""), "\(reason)")
            #expect(throws: QueryError.unusable(field: field, reason: reason)) { try engine.validate(asked) }
        }
    }

    @Test("answers the others when one query cannot be")
    func partialFailure() throws {
        let long = InfluenceQuery(prompt: "In", completion: String(repeating: " heaven", count: 200))
        let answers = engine.answer([query, long])
        #expect(try answers[0].get().sequences.count == 5)
        guard case .failure(.unusable(let field, let reason)) = answers[1] else {
            Issue.record("the long completion was not refused")
            return
        }
        #expect(field == "completion" && reason.contains("128 tokens"))
    }

    @Test(
        "refuses what the model cannot read, by the field",
        arguments: [("", " the", "prompt"), ("In", "", "completion")])
    func validation(prompt: String, completion: String, field: String) {
        #expect { try engine.validate(InfluenceQuery(prompt: prompt, completion: completion)) } throws: {
            if case QueryError.unusable(let named, _) = $0 { named == field } else { false }
        }
    }

    @Test("ends cancelled queries and no others")
    func cancellation() throws {
        let answers = engine.answer([query, query], control: WorkControl(isCancelled: { $0 == 1 }))
        #expect(try answers[0].get().sequences.count == 5)
        #expect(answers[1] == .failure(.cancelled))
        #expect(engine.answer([query], control: WorkControl(isCancelled: { _ in true })) == [.failure(.cancelled)])
    }

    @Test("tells its progress stage by stage, to the end of each")
    func progress() throws {
        let reports = Mutex<[InfluenceProgress]>([])
        _ = engine.answer(
            [query], control: WorkControl(progress: { report in reports.withLock { $0.append(report) } }))
        let all = reports.withLock { $0 }
        for stage in [InfluenceProgress.Stage.gradients, .sweep, .rescore] {
            let last = all.last { $0.stage == stage }
            #expect(last?.done == last?.total && (last?.total ?? 0) > 0)
        }
    }

    @Test("completes, searches and describes")
    func others() throws {
        let request = CompletionRequest(prompt: "And the LORD", maximumTokens: 8)
        let completion = try engine.complete(request)
        #expect(completion.tokens.map(\.text).joined() == completion.completion)
        #expect(completion == (try engine.complete(request)))
        let hits = try engine.search("heaven and earth", limit: 3)
        #expect(hits.map(\.rank) == [1, 2, 3] && hits[0].score >= hits[1].score)
        #expect(try engine.sequence("text-5")?.text == tiny.texts[5])
        #expect(try engine.sequence("none") == nil)
        let summary = try engine.describe()
        #expect(summary.corpus.sequences == 60 && summary.trackedLayers.count == engine.factors.layers.count)
        #expect(summary.parameters == engine.decoder.parameterCount && summary.factors.bytes > 0)
    }
}
