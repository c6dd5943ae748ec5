import LinearAlgebra
import Synchronization
import TestSupport
import Testing
import Transformer

@testable import Attribution
@testable import Curvature

/// Scores of an oracle's queries against its whole corpus.
struct OracleScores: Sendable {
    let oracle: Oracle
    let checkpoint: Checkpoint
    let sequences: [[Int32]]
    let queries: [(tokens: [Int32], completionStart: Int)]

    init(_ oracle: Oracle) throws {
        self.oracle = oracle
        checkpoint = try oracle.checkpoint()
        sequences = try oracle.sequences()
        queries = try oracle.queryTokens()
    }

    func fit(
        _ labels: (@Sendable (FactorFit.Stage, Int) -> TokenBatch.Labels)? = nil, largestBlock: Int? = nil
    ) throws -> EKFACFactors {
        let sequences = sequences
        let fit = FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest,
            source: FactorFit.Source(count: sequences.count, digest: "oracle") { Array(sequences[$0]) },
            fisher: .empirical, largestBlock: largestBlock)
        return try (labels.map(fit.with(labels:)) ?? fit).run()
    }

    func preconditioned(_ factors: EKFACFactors, rank: InfluenceQuery.Rank) throws -> [PreconditionedQuery] {
        try queries.map { query in
            var workspace = DecoderWorkspace()
            let gradient = QueryGradient(
                tokens: query.tokens, completionStart: query.completionStart, decoder: checkpoint.decoder,
                tracked: factors.tracked, workspace: &workspace)
            return PreconditionedQuery(
                layers: try zip(gradient.layers, factors.layers).map {
                    try PreconditionedLayer($0, factors: $1, damping: nil, rank: rank)
                })
        }
    }

    /// For each query, one score per sequence.
    func scores(
        _ factors: EKFACFactors, rank: InfluenceQuery.Rank = .full, breakdown: CandidateSweep.Breakdown = [],
        workers: Int = 2, batchTokens: Int = 1_024, order: [Int64]? = nil
    ) throws -> [[SequenceScore]] {
        let sequences = sequences
        let sweep = CandidateSweep(
            decoder: checkpoint.decoder, tracked: factors.tracked, workers: Workers(count: workers),
            batchTokens: batchTokens
        ) { $0.map { sequences[Int($0)] } }
        let candidates = order ?? sequences.indices.map(Int64.init)
        let rows = try sweep.scores(
            of: candidates, queries: try preconditioned(factors, rank: rank), breakdown: breakdown)
        var byQuery = [[SequenceScore?]](
            repeating: [SequenceScore?](repeating: nil, count: sequences.count), count: queries.count)
        for (candidate, row) in zip(candidates, rows) {
            for query in queries.indices { byQuery[query][Int(candidate)] = row[query] }
        }
        return byQuery.map { $0.compactMap { $0 } }
    }

    func kronfluenceFactors() throws -> EKFACFactors {
        try FactorFile.load(folder: oracle.factorFolder, for: checkpoint.decoder, modelDigest: checkpoint.digest)
    }
}

@Suite("Scores of the oracle's models")
struct OracleScoreTests {
    @Test("rest on its token ids and losses", arguments: Oracle.all)
    func losses(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let tokenizer = scores.checkpoint.tokenizer
        for (text, expected) in zip(try oracle.texts(), scores.sequences) {
            #expect(Array(tokenizer.encode(text).prefix(128)) == expected)
        }
        for (query, expected) in zip(try oracle.queries(), scores.queries) {
            let joined = tokenizer.encodeJoined(prompt: query.prompt, completion: query.completion)
            #expect(joined.tokens == expected.tokens)
            #expect(joined.completionStart == expected.completionStart)
        }
        var workspace = DecoderWorkspace()
        for (sequence, expected) in zip(scores.sequences, try oracle.array("train_loss").values) {
            var batch = TokenBatch()
            batch.append(sequence)
            let loss = scores.checkpoint.decoder.losses(of: batch, in: &workspace).sum(over: 0..<sequence.count)
            #expect(abs(loss - expected) < 1e-4 * expected)
        }
        for (query, expected) in zip(scores.queries, try oracle.array("query_loss").values) {
            let gradient = QueryGradient(
                tokens: query.tokens, completionStart: query.completionStart, decoder: scores.checkpoint.decoder,
                tracked: TrackedLayers(of: scores.checkpoint.decoder), workspace: &workspace)
            #expect(abs(-gradient.logProbabilities.reduce(0, +) - expected) < 1e-4 * expected)
        }
    }

    @Test(
        "with factors fitted here are those of kronfluence, and of plain autograd in double precision",
        arguments: Oracle.all)
    func fitted(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let found = try scores.scores(try scores.fit())
        expectAgreement(found.totals, try oracle.scores("empirical_scores_total"))
        expectAgreement(found.totals, try oracle.scores("empirical_fp64_scores_total"))
    }

    @Test("with covariances in two blocks are much like those with whole ones, and not the same", arguments: Oracle.all)
    func blocks(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let whole = try scores.scores(try scores.fit()).totals
        let widest = try scores.fit().layers.map(\.gradientVectors.order).max() ?? 0
        let split = try scores.scores(try scores.fit(largestBlock: widest / 2)).totals
        for (whole, split) in zip(whole, split) {
            let correlation = Agreement(split, whole).correlation
            #expect(correlation > 0.9 && correlation < 0.999_999, "\(correlation)")
        }
    }

    @Test("with a folder of factors that kronfluence wrote are its own", arguments: Oracle.all)
    func kronfluenceFactors(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let found = try scores.scores(try scores.kronfluenceFactors())
        expectAgreement(found.totals, try oracle.scores("empirical_scores_total"))
    }

    @Test("by layer and by token are kronfluence's", arguments: Oracle.all)
    func breakdown(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let factors = try scores.kronfluenceFactors()
        let found = try scores.scores(factors, breakdown: [.layers, .tokens])
        let modules = try oracle.tensors("empirical_scores_per_module")
        let count = scores.sequences.count
        for layer in factors.tracked.layers {
            let expected = try modules.doubles(named: layer.name)
            for (query, row) in found.enumerated() {
                let agreement = Agreement(
                    row.compactMap { $0.layers?[layer.index] },
                    Array(expected[(query * count)..<((query + 1) * count)]))
                #expect(agreement.correlation >= 0.99999 && agreement.largestDifference <= 1e-3, "\(layer.name)")
            }
        }
        for (query, expected) in try oracle.scores("empirical_scores_per_token_first100").enumerated() {
            var ours: [Double] = []
            for sequence in 0..<(expected.count / 128) {
                let tokens = found[query][sequence].tokens ?? []
                ours += tokens + [Double](repeating: 0, count: 128 - tokens.count)
            }
            let agreement = Agreement(ours, expected)
            #expect(agreement.correlation >= 0.99999 && agreement.largestDifference <= 1e-3)
        }
    }

    @Test("compressed to rank 32 are those of the best approximation of that rank", arguments: Oracle.all)
    func lowRank(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let factors = try scores.kronfluenceFactors()
        for (rank, file) in [(32, "empirical_scores_lowrank32_fullsvd"), (8, "empirical_scores_lowrank8_fullsvd")] {
            guard let expected = try? oracle.scores(file) else {
                #expect(rank == 8, "only the rank-8 scores are not in every oracle")
                continue
            }
            expectAgreement(try scores.scores(factors, rank: .limited(rank)).totals, expected)
        }
    }

    @Test("with factors of pinned sampled labels are kronfluence's", arguments: Oracle.all)
    func sampled(_ oracle: Oracle) throws {
        let scores = try OracleScores(oracle)
        let covariance = try oracle.pinnedLabels("sampled_labels_cov")
        let eigenvalue = try oracle.pinnedLabels("sampled_labels_lambda")
        let factors = try scores.fit { stage, sequence in
            .given(stage == .covariances ? covariance[sequence] : eigenvalue[sequence])
        }
        expectAgreement(try scores.scores(factors).totals, try oracle.scores("sampled_scores_total"))
    }

    private func expectAgreement(_ found: [[Double]], _ expected: [[Double]]) {
        #expect(found.count == expected.count)
        for (ours, theirs) in zip(found, expected) {
            let agreement = Agreement(ours, theirs)
            #expect(agreement.correlation >= 0.99999 && agreement.largestDifference <= 1e-3, "\(agreement)")
        }
    }
}

extension [[SequenceScore]] {
    var totals: [[Double]] { map { $0.map(\.total) } }
}
