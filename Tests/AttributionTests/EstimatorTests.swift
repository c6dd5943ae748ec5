import Curvature
import Foundation
import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Attribution

@Suite("A query's estimator")
struct EstimatorTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine(texts: 12) }

    private func query(_ estimator: InfluenceQuery.Estimator, rank: InfluenceQuery.Rank = .full) -> InfluenceQuery {
        var query = TinyEngine.query(rescore: 0)
        query.rank = rank
        query.estimator = estimator
        return query
    }

    private func scores(_ query: InfluenceQuery) throws -> [String: Double] {
        Dictionary(uniqueKeysWithValues: try tiny.answer(query).sequences.map { ($0.id, $0.score) })
    }

    @Test("is read strictly, and EK-FAC where none is named")
    func decoding() throws {
        func decode(_ fields: String) throws -> InfluenceQuery {
            try JSONDecoder().decode(
                InfluenceQuery.self, from: Data("{\"prompt\": \"a\", \"completion\": \" b\"\(fields)}".utf8))
        }
        #expect(try decode("").estimator == .ekfac)
        #expect(try decode(", \"estimator\": null").estimator == .ekfac)
        for estimator in InfluenceQuery.Estimator.allCases {
            let query = try decode(", \"estimator\": \"\(estimator.rawValue)\"")
            #expect(query.estimator == estimator)
            let kept = try JSONDecoder().decode(InfluenceQuery.self, from: JSONEncoder().encode(query))
            #expect(kept == query, "a job keeps it")
        }
        #expect(throws: DecodingError.self) { try decode(", \"estimator\": \"hessian\"") }
    }

    @Test(
        "identity scores by the inner product of gradients, in full and compressed to more ranks than there are tokens")
    func identity() throws {
        let engine = tiny.engine
        let asked = query(.identity)
        let tokenized = try engine.tokenize(asked)
        let gradient = try engine.gradients(of: [tokenized])[0].whole
        let full = try scores(asked)
        let compressed = try scores(query(.identity, rank: .limited(64)))
        var workspace = DecoderWorkspace()
        for (index, text) in tiny.texts.enumerated() {
            var batch = TokenBatch()
            batch.append(engine.tokenizer.encode(text))
            var tap = GradientSumTap(engine.factors.tracked)
            engine.decoder.run(batch, in: &workspace, tracked: engine.factors.tracked, tap: &tap)
            let expected = gradient.dot(tap.sum)
            let scale = gradient.norm * tap.sum.norm
            #expect(abs(try #require(full["text-\(index)"]) - expected) < 1e-5 * scale)
            #expect(abs(try #require(compressed["text-\(index)"]) - expected) < 1e-5 * scale)
        }
    }

    @Test("ASTRA comes nearer to solving the system than EK-FAC, and says what it took")
    func astra() throws {
        let engine = tiny.engine
        let result = try tiny.answer(query(.astra))
        let method = try #require(result.method)
        #expect(method.estimator == .astra)
        #expect(try #require(method.iterations) >= engine.astra.iterations)
        #expect(try #require(method.sequences) > 0 && #require(method.tokens) > 0 && #require(method.seconds) > 0)

        let curvature = try engine.curvature(asOf: 12)
        let gradient = try engine.gradients(of: [try engine.tokenize(query(.astra))])[0]
        let astra = NeumannIteration.astra(curvature, factors: engine.factors, .init(iterations: 4, batchSize: 12))
        let solution = try astra.solve([gradient.whole]).vectors[0]
        // ½ xᵀ(G + λI)x - vᵀx falls as x approaches the solution.
        func height(_ x: ParameterVector) throws -> Double {
            var product = try curvature.products(of: [x])[0]
            product.add(x, scaledBy: engine.factors.damping())
            return product.dot(x) / 2 - gradient.whole.dot(x)
        }
        let solved = try height(solution)
        let start = try height(try KroneckerInverse(corrected: engine.factors).solve([gradient.whole]).vectors[0])
        #expect(solved < start, "\(solved) and \(start)")
        #expect(try scores(query(.astra)) != scores(query(.ekfac)))
    }

    @Test("does not change what others in the batch are answered")
    func company() throws {
        let queries = InfluenceQuery.Estimator.allCases.map { query($0) }
        let together = tiny.engine.answer(queries)
        for (query, answer) in zip(queries, together) {
            let alone = try scores(query)
            let largest = alone.values.map(abs).max() ?? 0
            let result = try answer.get()
            #expect(result.method?.estimator == query.estimator)
            #expect(result.sequences.count == 12)
            for sequence in result.sequences {
                #expect(abs(sequence.score - (try #require(alone[sequence.id]))) < 1e-4 * largest)
            }
        }
    }

    @Test("is part of what a checkpoint is of", arguments: InfluenceQuery.Estimator.allCases)
    func checkpoint(estimator: InfluenceQuery.Estimator) throws {
        let file = URL(fileURLWithPath: tiny.folder.path("batch.scores"))
        func answer(_ estimator: InfluenceQuery.Estimator) throws -> (result: InfluenceResult, scored: Int) {
            let checkpoint = CheckpointFile(url: file, interval: .zero)
            let answers = tiny.engine.answer([query(estimator)], checkpoint: checkpoint)
            checkpoint.flush()
            return (try #require(try answers.first?.get()), checkpoint.writtenCount)
        }
        let first = try answer(estimator)
        #expect(first.scored > 0)
        #expect(try answer(estimator).scored == 0, "its own is taken up")
        for other in InfluenceQuery.Estimator.allCases where other != estimator {
            #expect(try answer(other).scored > 0)
        }
    }

    @Test("that cannot be used fails its own query alone, by the field's name")
    func withoutSequences() throws {
        let empty = try TinyEngine(texts: 0)
        var queries = [query(.astra), query(.ekfac)]
        for place in queries.indices { queries[place].candidates = CandidateSelection(texts: ["and there was light"]) }
        let answers = empty.engine.answer(queries)
        #expect(throws: QueryError.unusable(field: "estimator", reason: "\(SolveError.noSequences)")) {
            try answers[0].get()
        }
        #expect(try answers[1].get().sequences.count == 1)
    }

    @Test("that iterates tells its steps, and ends when its query is cancelled")
    func cancellation() throws {
        let steps = StepCounter()
        var control = WorkControl<InfluenceProgress>()
        control.progress = { steps.note($0) }
        control.isCancelled = { $0 == 0 && steps[.gradients] > 3 }
        let answers = tiny.engine.answer([query(.astra), query(.ekfac)], control: control)
        #expect(throws: QueryError.cancelled) { try answers[0].get() }
        #expect(try answers[1].get().sequences.count == 12)
        #expect(steps[.gradients] < tiny.engine.astra.iterations)
    }
}
