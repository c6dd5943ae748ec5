import Curvature
import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Attribution

@Suite("A layer without curvature")
struct LayerWithoutCurvatureTests {
    private static let dead = 1

    private let usual: TinyEngine
    private let tiny: TinyEngine

    init() throws {
        let layout = SketchLayout(leading: 24, signs: 512)
        usual = try TinyEngine(texts: 30, index: layout)
        tiny = try TinyEngine(texts: 30, index: layout) { layer, factors in
            if layer == Self.dead { factors.eigenvalues = factors.zero }
        }
    }

    private func query(
        _ rank: InfluenceQuery.Rank, damping: Double?, _ estimator: InfluenceQuery.Estimator = .ekfac
    ) -> InfluenceQuery {
        var query = TinyEngine.query(rescore: 0)
        (query.rank, query.damping, query.estimator) = (rank, damping, estimator)
        query.attribution.layers = true
        return query
    }

    @Test(
        "has no influence, and the others have theirs, whatever the damping",
        arguments: [InfluenceQuery.Rank.full, .limited(8)], [nil, 1e-3, 1e-30] as [Double?])
    func influence(rank: InfluenceQuery.Rank, damping: Double?) throws {
        let found = try tiny.answer(query(rank, damping: damping))
        let expected = Dictionary(
            uniqueKeysWithValues: try usual.answer(query(rank, damping: damping)).sequences.map { ($0.id, $0) })
        #expect(found.candidates.notFinite == 0 && !found.sequences.isEmpty)
        for sequence in found.sequences {
            let layers = try #require(sequence.layers).map(\.score)
            #expect(layers[Self.dead] == 0)
            #expect(abs(layers.reduce(0, +) - sequence.score) <= 1e-9 * layers.reduce(0) { $0 + abs($1) })
            guard let other = expected[sequence.id]?.layers.map({ $0.map(\.score) }) else { continue }
            let scale = other.reduce(0) { max($0, abs($1)) }
            for layer in layers.indices where layer != Self.dead {
                #expect(abs(layers[layer] - other[layer]) < 1e-4 * scale)
            }
        }
    }

    @Test("leaves estimators that iterate, and the gradient index, with scores that are numbers")
    func others() throws {
        let solved = try tiny.answer(query(.full, damping: nil, .astra))
        #expect(!solved.sequences.isEmpty && solved.method?.residual?.isFinite == true)
        for sequence in solved.sequences { #expect(sequence.layers?[Self.dead].score == 0) }
        for damping in [nil, 1e-40, 1e30] as [Double?] {
            var indexed = query(.full, damping: damping)
            indexed.candidates = CandidateSelection(prefilter: .index, limit: 7)
            #expect(try tiny.answer(indexed).candidates.considered == 7)
        }
    }

    @Test("is named where the model is described")
    func names() throws {
        let names = tiny.engine.factors.tracked.layers.map(\.name)
        #expect(try tiny.engine.describe().factors.layersWithoutCurvature == [names[Self.dead]])
        #expect(try usual.engine.describe().factors.layersWithoutCurvature.isEmpty)
        #expect(tiny.engine.factors.warnings.contains { $0.contains(names[Self.dead]) })
        #expect(usual.engine.factors.warnings.isEmpty)
        #expect(try tiny.answer(TinyEngine.query()).warnings == tiny.engine.factors.warnings)
        #expect(try usual.answer(TinyEngine.query()).warnings == nil)
    }

    @Test("is told apart from factors that were fitted on fewer tokens than a layer has inputs")
    func fewTokens() throws {
        var provenance = usual.engine.factors.provenance
        let widest = try #require(usual.engine.factors.tracked.layers.map(\.inputs).max())
        for (tokens, isWarned) in [(widest - 1, true), (widest, false), (nil, false)] as [(Int?, Bool)] {
            provenance.tokens = tokens
            let factors = EKFACFactors(
                tracked: usual.engine.factors.tracked, layers: usual.engine.factors.layers, provenance: provenance)
            #expect(factors.warnings.contains { $0.contains("\(widest) inputs") } == isWarned)
        }
    }
}

@Suite("A damping that leaves single precision")
struct ExtremeDampingTests {
    @Test("fails its own query by the field's name, and no other of the batch")
    func batch() throws {
        // Half of each layer's directions have no curvature.
        let tiny = try TinyEngine(texts: 20) { _, factors in
            for row in 0..<(factors.eigenvalues.rows / 2) {
                for column in 0..<factors.eigenvalues.columns { factors.eigenvalues[row, column] = 0 }
            }
        }
        var queries = [TinyEngine.query(), TinyEngine.query()]
        queries[1].damping = Double(Float.leastNonzeroMagnitude)
        for rank in [InfluenceQuery.Rank.limited(8), .full] {
            for index in queries.indices { queries[index].rank = rank }
            let answers = tiny.engine.answer(queries)
            #expect(try !answers[0].get().sequences.isEmpty)
            guard case .failure(.unusable(let field, let reason)) = answers[1] else {
                Issue.record("\(answers[1])")
                return
            }
            #expect(field == "damping" && reason.contains("layer"))
        }
    }
}
