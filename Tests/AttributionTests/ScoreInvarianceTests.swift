import Curvature
import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Attribution

@Suite("Influence scores")
struct ScoreInvarianceTests {
    private let scores: OracleScores
    private let factors: EKFACFactors

    init() throws {
        scores = try OracleScores(Oracle.all[1])
        factors = try scores.kronfluenceFactors()
    }

    @Test("do not depend on batch size or number of workers", arguments: [(1, 1), (1, 300), (2, 4_096), (3, 700)])
    func batching(workers: Int, batchTokens: Int) throws {
        let reference = try scores.scores(factors, workers: 1, batchTokens: 1_024)
        let other = try scores.scores(factors, workers: workers, batchTokens: batchTokens)
        expectClose(other, reference)
    }

    @Test("do not depend on the order in which sequences are packed")
    func order() throws {
        var generator = SplitMix64(seed: 2)
        let shuffled = scores.sequences.indices.map(Int64.init).shuffled(using: &generator)
        expectClose(try scores.scores(factors, order: shuffled), try scores.scores(factors))
    }

    @Test("are the sums of their token scores and of their layer scores")
    func sums() throws {
        for row in try scores.scores(factors, rank: .limited(32), breakdown: [.layers, .tokens]) {
            let largest = row.map { abs($0.total) }.max() ?? 0
            for score in row {
                #expect(abs((score.tokens ?? []).reduce(0, +) - score.total) <= 1e-9 * largest)
                #expect(abs((score.layers ?? []).reduce(0, +) - score.total) <= 1e-6 * largest)
            }
        }
    }

    @Test("converge to the full score as the rank grows")
    func rank() throws {
        let full = try scores.scores(factors)
        let errors = try [2, 8, 24, 48].map { rank in
            zip(try scores.scores(factors, rank: .limited(rank)), full).map { found, expected in
                Agreement(found.map(\.total), expected.map(\.total)).largestDifference
            }.max() ?? .infinity
        }
        #expect(errors == errors.sorted(by: >))
        #expect(errors[0] > 1e-2, "rank 2 is not already exact")
        #expect(errors[3] < 1e-3)
    }

    @Test("are the same for a query whoever shares its sweep, of whatever rank")
    func sharedSweep() throws {
        let low = try scores.preconditioned(factors, rank: .limited(8))
        let other = try scores.preconditioned(factors, rank: .limited(20))
        let full = try scores.preconditioned(factors, rank: .full)
        let sequences = scores.sequences
        let sweep = CandidateSweep(decoder: scores.checkpoint.decoder, tracked: factors.tracked) {
            $0.map { sequences[Int($0)] }
        }
        let candidates = (0..<20).map(Int64.init)
        let mixed = try sweep.scores(of: candidates, queries: [full[0], low[0], other[1], low[1]])
        for (column, query) in [full[0], low[0], other[1], low[1]].enumerated() {
            let alone = try sweep.scores(of: candidates, queries: [query])
            let agreement = Agreement(mixed.map { $0[column].total }, alone.map { $0[0].total })
            #expect(agreement.largestDifference < 1e-4)
        }
    }

    @Test("of a sequence on itself are positive")
    func selfInfluence() throws {
        for index in 0..<10 {
            let sequence = scores.sequences[index]
            var workspace = DecoderWorkspace()
            let gradient = QueryGradient(
                tokens: sequence, completionStart: 1, decoder: scores.checkpoint.decoder, tracked: factors.tracked,
                workspace: &workspace)
            let query = PreconditionedQuery(
                layers: try zip(gradient.layers, factors.layers).map {
                    try PreconditionedLayer($0, factors: $1, damping: nil, rank: .full)
                })
            let sweep = CandidateSweep(decoder: scores.checkpoint.decoder, tracked: factors.tracked) { _ in [sequence] }
            let score = try sweep.scores(of: [0], queries: [query])[0][0]
            #expect(score.total > 0)
        }
    }

    @Test("of sequences without a prediction are zero")
    func tooShort() throws {
        let sweep = CandidateSweep(decoder: scores.checkpoint.decoder, tracked: factors.tracked) { _ in
            [[], [3], [3, 4]]
        }
        let found = try sweep.scores(of: [0, 1, 2], queries: try scores.preconditioned(factors, rank: .full))
        #expect(found[0].allSatisfy { $0.total == 0 } && found[1].allSatisfy { $0.total == 0 })
        #expect(found[2].contains { $0.total != 0 })
    }

    @Test("are spurious where one token carries nearly all")
    func spurious() {
        #expect(SequenceScore(tokens: [0.01, 5, -0.02], keepingTokens: false, layers: nil).isSpurious)
        #expect(!SequenceScore(tokens: [1, 2, -1.5, 1], keepingTokens: false, layers: nil).isSpurious)
        #expect(!SequenceScore(tokens: [0, 0], keepingTokens: false, layers: nil).isSpurious)
    }

    @Test("stop coming when the sweep is cancelled")
    func cancellation() throws {
        let sequences = scores.sequences
        let sweep = CandidateSweep(decoder: scores.checkpoint.decoder, tracked: factors.tracked) {
            $0.map { sequences[Int($0)] }
        }
        #expect(throws: QueryError.cancelled) {
            try sweep.scores(
                of: [0, 1, 2], queries: try scores.preconditioned(factors, rank: .limited(4)),
                control: WorkControl(isCancelled: { _ in true }))
        }
    }

    private func expectClose(_ found: [[SequenceScore]], _ expected: [[SequenceScore]]) {
        for (ours, theirs) in zip(found, expected) {
            let agreement = Agreement(ours.map(\.total), theirs.map(\.total))
            // Float32 products of other shapes round differently: by up to 1.22e-6 on a processor with AVX2 and no AVX-512, by less
            // than 1e-6 on one with both.
            #expect(agreement.largestDifference < 2e-6, "\(agreement)")
        }
    }
}
