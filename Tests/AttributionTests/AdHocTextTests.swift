import TestSupport
import Testing

@testable import Attribution

@Suite("Texts of the asker's own")
struct AdHocTextTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine() }

    private func answer(_ candidates: CandidateSelection) throws -> InfluenceResult {
        var query = TinyEngine.query()
        query.candidates = candidates
        query.attribution = InfluenceQuery.Breakdown(layers: true, tokens: true)
        return try answer(query)
    }

    private func answer(_ query: InfluenceQuery) throws -> InfluenceResult {
        try #require(tiny.engine.answer([query]).first).get()
    }

    @Test("are scored as the same text in the corpus, in total, by layer and by token", arguments: [0, 7, 31])
    func equality(number: Int) throws {
        let kept = try #require(try answer(CandidateSelection(ids: ["text-\(number)"])).sequences.first)
        let given = try #require(try answer(CandidateSelection(texts: [tiny.texts[number]])).sequences.first)
        #expect(given.score == kept.score && given.score != 0)
        #expect(given.layers == kept.layers && given.layers?.isEmpty == false)
        #expect(given.tokens == kept.tokens && given.tokens?.isEmpty == false)
        #expect(given.natsPerCopy == kept.natsPerCopy && given.spurious == kept.spurious)
        #expect(given.text == tiny.texts[number])
    }

    @Test("are all returned, ranked, whatever direction, number, rank and rescoring are asked for")
    func completeness() throws {
        let texts = Array(tiny.texts.prefix(12)) + ["a"]
        var query = TinyEngine.query()
        query.candidates = CandidateSelection(texts: texts)
        (query.direction, query.topK, query.rank, query.rescore) = (.negative, 1, .limited(1), 0)
        let result = try answer(query)
        #expect(result.sequences.compactMap(\.index).sorted() == Array(texts.indices))
        #expect(result.sequences.allSatisfy { $0.source == "given" && $0.id == "given-\($0.index ?? -1)" })
        #expect(result.sequences.allSatisfy { texts[$0.index ?? 0] == $0.text })
        #expect(result.candidates.selection == "texts" && result.candidates.considered == texts.count)
        let proponents = result.sequences.filter { $0.score >= 0 }
        let opponents = result.sequences.filter { $0.score < 0 }
        #expect(result.sequences == proponents + opponents)
        #expect(proponents.map(\.score) == proponents.map(\.score).sorted(by: >))
        #expect(opponents.map(\.score) == opponents.map(\.score).sorted())
        #expect(proponents.map(\.rank) == Array(1...proponents.count))
        #expect(opponents.map(\.rank) == Array(1...opponents.count))
        query.rank = .full
        let full = try answer(query)
        for (a, b) in zip(result.sequences, full.sequences) { #expect(abs(a.score - b.score) <= 1e-5 * abs(b.score)) }
    }

    @Test("leave the other queries of their batch as they are")
    func batches() throws {
        let other = TinyEngine.query(" the sea.")
        var first = TinyEngine.query()
        first.candidates = CandidateSelection(texts: [tiny.texts[3], "And the LORD spake."])
        var second = other
        second.candidates = CandidateSelection(texts: [tiny.texts[5]])
        let queries = [first, other, second]
        let together = tiny.engine.answer(queries)
        for (query, result) in zip(queries, together) {
            let (alone, found) = (try answer(query).sequences, try result.get().sequences)
            #expect(found.map(\.id) == alone.map(\.id) && found.map(\.text) == alone.map(\.text))
            let largest = alone.reduce(0) { max($0, abs($1.score)) }
            for (a, b) in zip(found, alone) { #expect(abs(a.score - b.score) <= 1e-5 * largest) }
        }
    }

    @Test("are refused by their place where they give no tokens, or more than a sequence has")
    func refusals() throws {
        for (text, words) in [("", "no tokens"), (String(repeating: "heaven ", count: 200), "at most 128")] {
            var query = TinyEngine.query()
            query.candidates = CandidateSelection(texts: ["In the beginning", text])
            let matches: (any Error) -> Bool = {
                guard case QueryError.unusable("candidates.texts[1]", let reason) = $0 else { return false }
                return reason.contains(words)
            }
            #expect(performing: { try tiny.engine.validate(query) }, throws: matches)
            #expect(performing: { try answer(query) }, throws: matches)
        }
    }
}
