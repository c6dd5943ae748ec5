import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Attribution

@Suite("A sweep in bfloat16")
struct SweepPrecisionTests {
    @Test(
        "ranks candidates as one in Float32 does, in either form of queries",
        arguments: [InfluenceQuery.Rank.limited(8), .full])
    func ranking(rank: InfluenceQuery.Rank) throws {
        let oracle = try OracleScores(Oracle.all[1])
        let factors = try oracle.kronfluenceFactors()
        let queries = try oracle.preconditioned(factors, rank: rank)
        let sequences = oracle.sequences
        let candidates = sequences.indices.map(Int64.init)
        func scores(_ decoder: DecoderModel) throws -> [[SequenceScore]] {
            try CandidateSweep(decoder: decoder, tracked: factors.tracked) { $0.map { sequences[Int($0)] } }
                .scores(of: candidates, queries: queries)
        }
        let decoder = oracle.checkpoint.decoder
        let exact = try scores(decoder)
        let rounded = try scores(decoder.inHalfPrecision())
        for query in queries.indices {
            let exactTotals = exact.map { $0[query].total }
            let roundedTotals = rounded.map { $0[query].total }
            #expect(exactTotals != roundedTotals)
            #expect(spearman(exactTotals, roundedTotals) > 0.999)
        }
    }

    @Test("gives a model's mean loss to a thousandth")
    func losses() throws {
        let oracle = Oracle.all[1]
        let decoder = try oracle.checkpoint().decoder
        var batch = TokenBatch()
        for sequence in try oracle.sequences().prefix(4) { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        let exact = decoder.losses(of: batch, in: &workspace)
        let half = decoder.inHalfPrecision()
        #expect(half.isInHalfPrecision && !decoder.isInHalfPrecision)
        let rounded = half.losses(of: batch, in: &workspace)
        #expect(exact.losses != rounded.losses)
        let rows = batch.tokens.indices
        let difference = exact.sum(over: rows) - rounded.sum(over: rows)
        #expect(abs(difference) < 1e-3 * exact.sum(over: rows))
    }

    @Test("is followed by one in Float32 of what ranks first, also where nothing is scored in full", arguments: [0, 5])
    func rescoring(rescore: Int) throws {
        let tiny = try TinyEngine()
        let query = TinyEngine.query(rescore: rescore)
        let exact = try tiny.answer(query)
        let engine = tiny.engine(in: .bfloat16)
        let found = try #require(
            engine.answer([query]).first
        ).get()
        #expect(found.sequences.map(\.id) == exact.sequences.map(\.id))
        let largest = exact.sequences.map { abs($0.score) }.max() ?? 0
        for (a, b) in zip(found.sequences, exact.sequences) { #expect(abs(a.score - b.score) < 1e-5 * largest) }
    }

    @Test("says why it cannot be had")
    func refusals() throws {
        try SweepPrecision.float32.checkProcessor()
        if HalfMatrix.isSupported, HalfMatrix.canMultiply() {
            try SweepPrecision.bfloat16.checkProcessor()
        } else {
            #expect(throws: SweepPrecisionError.self) { try SweepPrecision.bfloat16.checkProcessor() }
        }
        #expect("\(SweepPrecisionError.slow)".contains("processor"))
        #expect("\(SweepPrecisionError.forbidden)".contains("MemoryDenyWriteExecute"))
    }

    @Test("takes up no checkpoint of one in Float32")
    func checkpoints() throws {
        let tiny = try TinyEngine(texts: 2)
        #expect(tiny.engine(in: .bfloat16).scoringDigest().bytes != tiny.engine.scoringDigest().bytes)
        #expect(tiny.engine(in: .float32).scoringDigest().bytes == tiny.engine.scoringDigest().bytes)
    }

    /// The correlation of ranks.
    private func spearman(_ left: [Double], _ right: [Double]) -> Double {
        func ranks(_ values: [Double]) -> [Double] {
            var ranks = [Double](repeating: 0, count: values.count)
            for (rank, index) in values.indices.sorted(by: { values[$0] < values[$1] }).enumerated() {
                ranks[index] = Double(rank)
            }
            return ranks
        }
        return Agreement(ranks(left), ranks(right)).correlation
    }
}
