import Foundation
import JSON
import LinearAlgebra
import TestSupport
import Testing

@testable import Attribution

/// One question about many prompts and completions.
@Suite("A behaviour") struct BehaviourTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine() }

    private static let parts = [
        BehaviourPart(prompt: "In the beginning God created", completion: " the heaven and the earth."),
        BehaviourPart(prompt: "And the LORD spake unto", completion: " Moses, saying,", weight: 2),
        BehaviourPart(
            prompt: "And God said, Let there be", completion: " light: and there was light.", contrast: " a firmament",
            weight: 0.5),
    ]

    private func query(
        _ parts: [BehaviourPart] = parts, combine: InfluenceQuery.Combination = .mean,
        rank: InfluenceQuery.Rank = .full, rescore: Int = 0
    ) -> InfluenceQuery {
        InfluenceQuery(
            behaviour: parts, combine: combine, topK: 100, direction: .both,
            candidates: CandidateSelection(prefilter: .all), rank: rank, rescore: rescore)
    }

    private func scores(_ query: InfluenceQuery) throws -> [String: Double] {
        Dictionary(uniqueKeysWithValues: try tiny.answer(query).sequences.map { ($0.id, $0.score) })
    }

    private func ownScores(_ part: BehaviourPart) throws -> [String: Double] {
        var query = TinyEngine.query(part.completion, rescore: 0)
        (query.prompt, query.contrast, query.rank) = (part.prompt, part.contrast, .full)
        return try scores(query)
    }

    private func difference(_ found: [String: Double], _ expected: [String: Double]) -> Double {
        let largest = expected.values.reduce(0) { max($0, abs($1)) }
        guard Set(found.keys) == Set(expected.keys), largest > 0 else { return .infinity }
        return expected.reduce(0) { max($0, abs((found[$1.key] ?? .nan) - $1.value)) } / largest
    }

    @Test("has the weighted mean, or the sum, of its parts' scores", arguments: InfluenceQuery.Combination.allCases)
    func combination(combine: InfluenceQuery.Combination) throws {
        var expected: [String: Double] = [:]
        for part in Self.parts {
            expected.merge(try ownScores(part).mapValues { $0 * part.weight }) { $0 + $1 }
        }
        if combine == .mean { expected = expected.mapValues { $0 / 3.5 } }
        #expect(difference(try scores(query(combine: combine)), expected) < 2e-5)
    }

    @Test("of many parts has the mean of their full-rank scores at its top, whatever the sweep's rank")
    func many() throws {
        let parts = tiny.texts.prefix(40).map { text in
            let words = text.split(separator: " ").prefix(9)
            return BehaviourPart(
                prompt: words.prefix(5).joined(separator: " "),
                completion: " " + words.dropFirst(5).joined(separator: " "))
        }
        var expected: [String: Double] = [:]
        for part in parts { expected.merge(try ownScores(part).mapValues { $0 / 40 }) { $0 + $1 } }
        let found = try tiny.answer(query(parts, rank: .faithful, rescore: 30))
        let largest = expected.values.reduce(0) { max($0, abs($1)) }
        for sequence in found.sequences.prefix(30) {
            #expect(abs(sequence.score - (expected[sequence.id] ?? .nan)) < 1e-3 * largest)
        }
        let best = expected.sorted { $0.value > $1.value }.prefix(10).map(\.key)
        #expect(found.sequences.prefix(10).map(\.id) == best)
        // A compression that is too strong would show.
        #expect(difference(try scores(query(parts, rank: .limited(1))), expected) > 0.05)
        #expect(difference(try scores(query(parts, rank: .faithful)), expected) < 0.1)
        #expect(try #require(found.method?.rank) > 1)
    }

    @Test("says what each part is and what it was worth")
    func parts() throws {
        let understood = try tiny.answer(query(rescore: 5)).query
        let parts = try #require(understood.parts)
        #expect(parts.map(\.prompt) == Self.parts.map(\.prompt))
        #expect(parts.map(\.weight) == [1, 2, 0.5])
        #expect(parts.map { $0.contrastLogProbability == nil } == [true, true, false])
        let single = try tiny.answer(
            InfluenceQuery(prompt: Self.parts[1].prompt, completion: Self.parts[1].completion)
        ).query
        #expect(abs(parts[1].logProbability - single.logProbability) < 1e-9)
        let measured =
            zip(parts, [1, 2, 0.5]).reduce(0.0) { sum, part in
                sum + part.1 * (part.0.logProbability - (part.0.contrastLogProbability ?? 0))
            } / 3.5
        #expect(abs(try #require(understood.measurement) - measured) < 1e-9)
        let shares = parts.compactMap(\.share)
        #expect(shares.count == 3)
        #expect(abs(shares.reduce(0, +) - 1) < 1e-6)
        let doubled = try tiny.answer(query([Self.parts[0], Self.parts[0]])).query.parts?.compactMap(\.share) ?? []
        #expect(doubled.count == 2 && doubled.allSatisfy { abs($0 - 0.5) < 1e-4 })
    }

    @Test("of one part is that part's query")
    func single() throws {
        #expect(difference(try scores(query([Self.parts[0]])), try ownScores(Self.parts[0])) < 1e-6)
        let understood = try tiny.answer(query([Self.parts[2]])).query
        let part = try #require(understood.parts?.first)
        let contrast = try #require(part.contrastLogProbability)
        #expect(part.logProbability == understood.logProbability && part.share == 1)
        #expect(abs(part.logProbability - contrast - (understood.measurement ?? .nan)) < 1e-9)
    }

    @Test("is read from JSON and written as it was read")
    func coding() throws {
        let text = #"{"measurement": [{"prompt": "a", "completion": "b", "weight": 2}], "combine": "sum", "top_k": 3}"#
        let query = try JSONTreeDecoder(tree: JSONReader.read(Array(text.utf8))).decode(InfluenceQuery.self)
        #expect(query.behaviour == [BehaviourPart(prompt: "a", completion: "b", weight: 2)])
        #expect(query.combine == .sum && query.rank == .faithful && query.topK == 3)
        #expect(try JSONTreeDecoder(tree: JSONTreeEncoder.tree(of: query)).decode(InfluenceQuery.self) == query)
    }

    @Test(
        "is refused by its field",
        arguments: [
            (#"{"measurement": []}"#, "measurement"),
            (#"{"measurement": [{"prompt": "a"}]}"#, "completion"),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}], "prompt": "c"}"#, "prompt"),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}], "contrast": "c"}"#, "contrast"),
            (#"{"measurement": [{"prompt": "a", "completion": "b", "weight": 0}]}"#, "weight"),
            (#"{"measurement": [{"prompt": "a", "completion": "b", "contrast": "b"}]}"#, "contrast"),
            (#"{"measurement": [{"prompt": "a", "completion": "b", "extra": 1}]}"#, "extra"),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}], "combine": "max"}"#, "combine"),
            (#"{"prompt": "a", "completion": "b", "combine": "sum"}"#, "combine"),
            (#"{"measurement": [{"messages": [], "weight": 2}]}"#, "messages"),
            (#"{"measurement": [{"messages": [{"content": "a"}]}]}"#, "role"),
            (#"{"measurement": [{"messages": [{"role": "user", "content": "a"}], "completion": "b"}]}"#, "completion"),
        ])
    func refusals(text: String, field: String) throws {
        let tree = try JSONReader.read(Array(text.utf8))
        let error = #expect(throws: DecodingError.self) { try JSONTreeDecoder(tree: tree).decode(InfluenceQuery.self) }
        #expect("\(try #require(error))".contains(field))
    }

    @Test("with a part that the model cannot read is refused by the part")
    func unusable() throws {
        let parts = [Self.parts[0], BehaviourPart(prompt: String(repeating: "word ", count: 400), completion: " x")]
        let error = #expect(throws: QueryError.self) { try tiny.engine.validate(query(parts)) }
        guard case .unusable(let field, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(field == "measurement[1].prompt")
    }
}
