import Foundation
import TestSupport
import Testing

@testable import Attribution

/// The part of a completion that is explained: all of it, some spans, or its difference from another completion.
@Suite("What is measured")
struct MeasurementTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine() }

    private static let completion = " the heaven and the earth."

    private func query(
        _ completion: String = completion, spans: [CompletionSpan]? = nil, contrast: String? = nil,
        rank: InfluenceQuery.Rank = .full
    ) -> InfluenceQuery {
        var query = TinyEngine.query(completion, rescore: 0)
        (query.spans, query.contrast, query.rank) = (spans, contrast, rank)
        return query
    }

    private func scores(_ query: InfluenceQuery) throws -> [String: Double] {
        let sequences = try tiny.answer(query).sequences
        return Dictionary(uniqueKeysWithValues: sequences.map { ($0.id, $0.score) })
    }

    private func expect(_ found: [String: Double], are expected: [String: Double], within tolerance: Double = 2e-5) {
        let largest = expected.values.reduce(0) { max($0, abs($1)) }
        #expect(Set(found.keys) == Set(expected.keys) && largest > 0)
        for (id, score) in expected { #expect(abs((found[id] ?? .nan) - score) <= tolerance * largest, "\(id)") }
    }

    // MARK: Contrast

    @Test("held against another completion, scores are the difference of the two completions' own")
    func contrast() throws {
        let other = " the sea and the dry land."
        let own = try scores(query())
        let others = try scores(query(other))
        expect(try scores(query(contrast: other)), are: own.merging(others) { $0 - $1 })
    }

    @Test("held against another completion, a rank of both completions' tokens loses nothing, and a lower one does")
    func contrastRank() throws {
        let other = " the sea and the dry land."
        let full = try scores(query(contrast: other))
        let tokens = try tiny.answer(query(contrast: other)).query
        let both = tokens.tokens.count + (tokens.contrast?.tokens.count ?? 0)
        expect(try scores(query(contrast: other, rank: .limited(both))), are: full, within: 1e-4)
        let low = try scores(query(contrast: other, rank: .limited(1)))
        let largest = full.values.reduce(0) { max($0, abs($1)) }
        #expect(full.contains { abs($0.value - (low[$0.key] ?? 0)) > 1e-3 * largest })
    }

    @Test("the result has both completions' tokens and log-probabilities, and what is explained")
    func contrastResult() throws {
        let other = " the sea."
        let result = try tiny.answer(query(contrast: other)).query
        let alone = try tiny.answer(query(other)).query
        let contrast = try #require(result.contrast)
        #expect(contrast.completion == other && contrast.tokens == alone.tokens)
        #expect(contrast.completionStart == alone.completionStart)
        #expect(abs(contrast.logProbability - alone.logProbability) < 1e-9)
        let measurement = try #require(result.measurement)
        #expect(abs(measurement - (result.logProbability - contrast.logProbability)) < 1e-5)
        #expect(result.tokens.allSatisfy { $0.measured == nil })
    }

    @Test("a contrast that is empty, or the completion itself, is refused by its name")
    func contrastRefusals() {
        for (contrast, words) in [("", "empty"), (Self.completion, "those of the completion")] {
            #expect {
                try tiny.engine.validate(query(contrast: contrast))
            } throws: { error in
                guard case QueryError.unusable("contrast", let reason) = error else { return false }
                return reason.contains(words)
            }
        }
    }

    @Test("candidates share words with either completion")
    func contrastWords() throws {
        var asked = query(" Zimri.", contrast: " the heaven and the earth.")
        asked.candidates = CandidateSelection(prefilter: .tfidf, limit: 8)
        let found = Set(try tiny.answer(asked).sequences.map(\.id))
        asked.contrast = " Zimri!"
        #expect(found != Set(try tiny.answer(asked).sequences.map(\.id)))
    }

    // MARK: Spans

    @Test("parts of a completion that cover it have scores that add up to the whole's")
    func partition() throws {
        let length = Self.completion.unicodeScalars.count
        let whole = try scores(query())
        let covering = try tiny.answer(query(spans: [.init(start: 0, end: length)]))
        #expect(covering.query.tokens.suffix(from: covering.query.completionStart).allSatisfy { $0.measured == true })
        expect(
            Dictionary(uniqueKeysWithValues: covering.sequences.map { ($0.id, $0.score) }), are: whole)
        let start = covering.query.completionStart
        // The first token and all others.
        let border = covering.query.tokens[start].text.unicodeScalars.count
        let first = try scores(query(spans: [.init(start: 0, end: border)]))
        let rest = try scores(query(spans: [.init(start: border, end: length)]))
        expect(first.merging(rest, uniquingKeysWith: +), are: whole)
        #expect(try scores(query(spans: [.init(start: 0, end: border), .init(start: border, end: length)])) != first)
    }

    @Test("a part of a completion is widened to whole tokens, and the result says which these are")
    func widening() throws {
        let all = try tiny.answer(query()).query
        let texts = all.tokens.suffix(from: all.completionStart).map(\.text)
        let place = try #require(texts.indices.first { $0 > 0 && texts[$0].count > 1 })
        let before = texts[..<place].joined().unicodeScalars.count
        // The last character of one token and the first of the next.
        let result = try tiny.answer(query(spans: [.init(start: before - 1, end: before + 1)])).query
        let measured = result.tokens.indices.filter { result.tokens[$0].measured == true }
        #expect(measured == [all.completionStart + place - 1, all.completionStart + place])
        #expect(result.tokens[..<result.completionStart].allSatisfy { $0.measured == nil })
        #expect(result.spans == [.init(start: before - 1, end: before + 1)])
        let sum = measured.reduce(0) { $0 + (result.tokens[$1].logProbability ?? .nan) }
        #expect(abs(try #require(result.measurement) - sum) < 1e-5)
        // The other tokens are read, and their log-probabilities are returned, as without spans.
        #expect(zip(result.tokens, all.tokens).allSatisfy { $0.logProbability == $1.logProbability })
    }

    @Test("a part is counted in code points, whatever characters they make")
    func codePoints() throws {
        // A letter with a combining accent is one character of two code points.
        let completion = " cafe\u{301} au lait"
        let whole = try tiny.answer(query(completion)).query
        for start in 0..<completion.unicodeScalars.count {
            let result = try tiny.answer(query(completion, spans: [.init(start: start, end: start + 1)])).query
            let measured = result.tokens.indices.filter { result.tokens[$0].measured == true }
            #expect(!measured.isEmpty && measured.count <= 4)
            #expect(result.tokens.map(\.id) == whole.tokens.map(\.id))
        }
        let last = completion.unicodeScalars.count
        let end = try tiny.answer(query(completion, spans: [.init(start: last - 1, end: last)])).query
        #expect(end.tokens.last?.measured == true && end.tokens[end.completionStart].measured == false)
    }

    @Test(
        "parts that are not in the completion are refused by their name",
        arguments: [[], [CompletionSpan(start: 3, end: 3)], [.init(start: 0, end: 2), .init(start: 20, end: 99)]])
    func spanRefusals(spans: [CompletionSpan]) {
        #expect {
            try tiny.engine.validate(query(spans: spans))
        } throws: { error in
            guard case QueryError.unusable("spans", _) = error else { return false }
            return true
        }
    }

    @Test("a part of one completion may be held against another")
    func spanAndContrast() throws {
        let spans = [CompletionSpan(start: 0, end: 4)]
        let own = try scores(query(spans: spans))
        let others = try scores(query(" the sea."))
        expect(try scores(query(spans: spans, contrast: " the sea.")), are: own.merging(others) { $0 - $1 })
    }

    @Test("queries of one completion that measure different things do not share checkpointed scores")
    func keys() throws {
        let engine = tiny.engine
        let asked = [
            query(), query(spans: [.init(start: 0, end: 4)]), query(spans: [.init(start: 5, end: 9)]),
            query(contrast: " the sea."), query(contrast: " the land."),
        ]
        let keys = try asked.map {
            engine.key(
                of: $0, try engine.tokenize($0), breakdown: [], corpusSequences: 60, base: engine.scoringDigest())
        }
        #expect(Set(keys).count == asked.count)
    }
}
