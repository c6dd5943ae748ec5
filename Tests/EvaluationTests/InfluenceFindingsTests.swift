import Attribution
import Curvature
import Foundation
import Testing
import Transformer

@testable import Evaluation

@Suite("Findings about influence")
struct InfluenceFindingsTests {
    private static let questions = FindingsQuestions(
        kinds: [
            .init(kind: "memorised", prompt: "In the beginning God created", completion: " the heaven"),
            .init(kind: "factual", prompt: "And God said, Let there be", completion: " light"),
        ],
        wordOrder: [
            .init(
                prompt: "And God said, Let there be", completion: " light",
                texts: [
                    .init(kind: "in order", text: "And God said, Let there be light"),
                    .init(kind: "flipped", text: "light was there as God said"),
                ])
        ], register: [])

    private func run(_ questions: FindingsQuestions = questions) throws -> FindingsResult {
        let tiny = try TinySubject(identifiers: { number in number < 12 ? "en:\(number)" : "fr:\(number)" })
        var settings = InfluenceFindings.Settings()
        settings.top = 5
        settings.abstractionTop = 1_000
        return try InfluenceFindings(tiny.subject, questions, settings: settings).run(EvaluationControl())
    }

    @Test("tell where influence lies, whatever part of it that is")
    func parts() throws {
        let result = try run()
        #expect(result.queries.map(\.kind) == ["memorised", "factual"])
        #expect(result.queries.allSatisfy { $0.logProbability < 0 })
        #expect(result.layers.map(\.kind) == ["memorised", "factual"])
        for own in result.layers {
            #expect(abs(own.shares.reduce(0) { $0 + $1.value } - 1) < 1e-9)
            let depth = try #require(own.meanDepth)
            #expect(depth.value > 0 && depth.value < 1)
        }
        let scale = try #require(result.scale.first)
        // The top is all there is, and some of it is in the other language.
        let share = try #require(scale.crossLingualShare)
        #expect(share.value > 0.05 && share.value < 0.5 && share.low == share.high, "\(share)")
        #expect(try JSONDecoder().decode(FindingsResult.self, from: JSONEncoder().encode(result)) == result)
        #expect(HTMLReport(result.report).html.contains("<svg"))
    }

    @Test("give a text the score that the same text has as a sequence")
    func givenTexts() throws {
        let tiny = try TinySubject()
        let subject = tiny.subject
        let sequence = try #require(try subject.corpus.sequences(rowids: [subject.rowids[2]]).first)
        let text = subject.checkpoint.tokenizer.decode(
            Array(sequence.tokens.dropFirst(subject.corpus.tokenization.prefix.count)))
        let query = TinySubject.queries[0]
        let questions = FindingsQuestions(
            kinds: [.init(kind: "all", prompt: query.prompt, completion: query.completion)],
            wordOrder: [
                .init(prompt: query.prompt, completion: query.completion, texts: [.init(kind: "as it is", text: text)])
            ], register: [])
        let found = try InfluenceFindings(subject, questions).run(EvaluationControl()).wordOrder.questions[0]
            .texts[0].score
        let expected = try EstimatorSolver(subject, EstimatorSettings()).scores(
            of: [try Measurement(query, of: subject.checkpoint)], by: .ekfac, over: [2], WorkControl()
        ).scores[0][0]
        #expect(abs(found - expected) < 1e-4 * abs(expected), "\(found), \(expected)")
    }

    @Test("judge whether the tail is a power law")
    func tails() throws {
        let tiny = try TinySubject(sequences: 200)
        let subject = tiny.subject
        var settings = InfluenceFindings.Settings()
        settings.top = 5
        settings.fitSamples = 40
        let result = try InfluenceFindings(subject, Self.questions, settings: settings).run(EvaluationControl())
        let measurements = try result.queries.map { try Measurement($0.query, of: subject.checkpoint) }
        let scores = try EstimatorSolver(subject, EstimatorSettings()).scores(
            of: measurements, by: .ekfac, over: Array(subject.rowids.indices), WorkControl()
        ).scores
        for (query, scores) in zip(result.queries, scores) {
            let tail = try #require(query.tail)
            #expect(tail.sequences >= PowerLawTail.leastSequences)
            #expect(query.goodnessOfFit == tail.goodnessOfFit(of: scores, samples: 40, seed: settings.seed))
            #expect(query.goodnessOfFit != nil)
        }
        #expect(result.report.text.contains("the upper tail of the scores is a power law"))
    }

    @Test("name a text that no sequence can be")
    func unusableText() {
        var questions = Self.questions
        questions.wordOrder[0].texts[1].text = String(repeating: "light ", count: 200)
        #expect {
            try run(questions)
        } throws: { error in
            guard case .unusableText(_, let tokens, let capacity)? = error as? EvaluationError else { return false }
            return tokens > capacity
        }
    }

    @Test("count the share of the top in all positive influence")
    func concentration() {
        let scores = [8.0, 1, 1, -50] + [Double](repeating: 0, count: 196)
        let found = InfluenceConcentration(of: scores)
        #expect(found.positive == 3)
        // 1 % of 200 are two; of less than one there is one.
        #expect(found.shares.map(\.count) == [1, 1, 2])
        #expect(found.shares.map(\.ofInfluence) == [0.8, 0.8, 0.9])
        #expect(InfluenceConcentration(of: [-1, 0]).shares.map(\.ofInfluence) == [0, 0, 0])
    }

    @Test("compare each text with the first of its question, where that one has any influence")
    func relativeScores() throws {
        func question(_ first: Double, _ second: Double) -> GivenTextScores.Question {
            .init(
                query: TinySubject.queries[0],
                texts: [
                    .init(kind: "in order", text: "a", score: first), .init(kind: "flipped", text: "b", score: second),
                ])
        }
        let found = GivenTextScores(questions: [question(4, 1), question(2, -1), question(-1, 7)], seed: 0)
        #expect(found.kinds.map(\.kind) == ["in order", "flipped"])
        #expect(found.kinds[0].relative?.value == 1)
        #expect(found.kinds[1].relative?.value == -0.125)
    }

    @Test(
        "tell a sequence's language by its identifier",
        arguments: [("fr:Paris", "fr"), ("Paris", nil), ("FR:Paris", nil), ("abc:d", nil), ("en:a:b", "en")])
    func language(id: String, expected: String?) {
        #expect(InfluenceAbstraction.language(of: id) == expected)
    }

    @Test("read questions from a file, and say what is wrong with one")
    func questionFile() throws {
        let tiny = try TinySubject()
        let path = tiny.records("questions")
        try JSONEncoder().encode(FindingsQuestions.embedded).write(to: URL(fileURLWithPath: path))
        #expect(try FindingsQuestions(path: path) == FindingsQuestions.embedded)
        try Data(#"{"kinds": [], "word_order": [], "register": []}"#.utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: FindingsQuestionsError.self) { try FindingsQuestions(path: path) }
        #expect(throws: FindingsQuestionsError.unreadable(path: "none")) { try FindingsQuestions(path: "none") }
    }

    @Test("find a layer's block in its name")
    func blocks() {
        #expect(BlockNumber.of("model.layers.12.mlp.up_proj") == 12)
        #expect(BlockNumber.of("transformer.h.3.mlp.c_fc") == 3)
        #expect(BlockNumber.of("head") == nil)
    }
}
