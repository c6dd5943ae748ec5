import Foundation
import TestSupport
import Testing

@testable import Attribution

@Suite("Influence by source")
struct SourceInfluenceTests {
    @Test("sums what is for and against each source, those without one apart, the largest sums first")
    func sums() {
        let (sources, others) = SourceInfluence.sums(of: [("a", 1), ("b", -5), ("a", -0.5), (nil, 2), ("b", 1)])
        #expect(others == nil)
        #expect(
            sources == [
                SourceInfluence(source: "b", sequences: 2, positive: 1, negative: -5),
                SourceInfluence(source: nil, sequences: 1, positive: 2, negative: 0),
                SourceInfluence(source: "a", sequences: 2, positive: 1, negative: -0.5),
            ])
    }

    @Test("tells sources apart that Unicode calls equal, in an order of their own")
    func sourcesAlike() {
        for scores in [[("caf\u{E9}", 1.0), ("cafe\u{301}", 1)], [("cafe\u{301}", 1), ("caf\u{E9}", 1)]] {
            let (sources, _) = SourceInfluence.sums(of: scores.map { (source: $0.0, score: $0.1) })
            let names = sources.compactMap { $0.source.map { Array($0.utf8) } }
            #expect(names == ["cafe\u{301}", "caf\u{E9}"].map { Array($0.utf8) })
        }
    }

    @Test("keeps the largest apart and adds up the others")
    func limit() throws {
        let scores = (1...60).map { (source: String?.some("source \($0)"), score: Double($0)) }
        let (sources, others) = SourceInfluence.sums(of: scores.shuffled() + [(source: "source 1", score: -0.25)])
        #expect(sources.map(\.source) == (11...60).reversed().map { "source \($0)" })
        #expect(others == .init(sources: 10, sequences: 11, positive: 55, negative: -0.25))
    }

    @Test("names no source as null")
    func null() throws {
        let text = String(
            decoding: try JSONEncoder().encode(SourceInfluence(source: nil, sequences: 1, positive: 0, negative: 0)),
            as: UTF8.self)
        #expect(text.contains("\"source\":null"))
    }

    @Test("is that of all that was scored, not only of what is returned")
    func engine() throws {
        let tiny = try TinyEngine()
        var query = TinyEngine.query()
        let all = try tiny.answer(query)
        query.topK = 1
        let result = try tiny.answer(query)
        let sources = try #require(result.sources)
        #expect(sources.count == 2 && Set(sources.map(\.source)) == ["even", "odd"])
        for source in sources {
            let scores = all.sequences.filter { $0.source == source.source }.map(\.score)
            #expect(source.sequences == tiny.texts.count / 2)
            let positive = scores.filter { $0 > 0 }.reduce(0, +)
            let negative = scores.filter { $0 < 0 }.reduce(0, +)
            #expect(abs(source.positive - positive) <= 1e-5 * positive)
            #expect(abs(source.negative - negative) <= 1e-5 * abs(negative))
        }
    }

    @Test("of texts that came with the query is theirs")
    func givenTexts() throws {
        let tiny = try TinyEngine()
        var query = TinyEngine.query()
        query.candidates = CandidateSelection(texts: Array(tiny.texts.prefix(3)))
        #expect(try tiny.answer(query).sources?.map(\.source) == ["given"])
    }
}
