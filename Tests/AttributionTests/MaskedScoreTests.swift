import Curvature
import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Testing
import Transformer

@testable import Attribution
@testable import Curvature

@Suite("Scores of sequences with a loss mask") struct MaskedScoreTests {
    static let models = ["gpt2", "llama-grouped-tied", "qwen2", "gpt-neox"]

    @Test("are those of plain autograd in double precision", arguments: Self.models)
    func empirical(_ model: String) throws {
        let oracle = try ScoreOracle(model, in: "masked")
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let found = try oracle.scores(factors, of: oracle.sequences, breakdown: .tokens)
        expectAgreement(found.totals, try oracle.expected("empirical"))
        let tokens = found.map { row in
            row.flatMap { score in
                let tokens = score.tokens ?? []
                return tokens + [Double](repeating: 0, count: 14 - tokens.count)
            }
        }
        expectAgreement(tokens, try oracle.expected("empirical_tokens"))
        // Without masks they are other scores: the comparison can fail.
        let unmasked = oracle.sequences.map { TrainingSequence(tokens: $0.tokens) }
        let plain = try oracle.scores(factors, of: unmasked).totals
        #expect(zip(plain, try oracle.expected("empirical")).allSatisfy { Agreement($0, $1).largestDifference > 0.05 })
    }

    @Test("are those of labels drawn only where there is loss", arguments: Self.models)
    func sampled(_ model: String) throws {
        let oracle = try ScoreOracle(model, in: "masked")
        let found = try oracle.scores(try oracle.fit(sampled: true, oracle.sequences), of: oracle.sequences)
        expectAgreement(found.totals, try oracle.expected("sampled"))
    }

    @Test("are bit for bit those of plain sequences if every token carries loss", arguments: Self.models)
    func allTokens(_ model: String) throws {
        let oracle = try ScoreOracle(model, in: "masked")
        let plain = oracle.sequences.map { TrainingSequence(tokens: $0.tokens) }
        let masked = plain.map { TrainingSequence(tokens: $0.tokens, loss: LossMask([0..<$0.count])) }
        let factors = try oracle.fit(sampled: false, plain)
        let same = try oracle.fit(sampled: false, masked)
        let found = try oracle.scores(same, of: masked, breakdown: .tokens)
        let expected = try oracle.scores(factors, of: plain, breakdown: .tokens)
        #expect(found.totals == expected.totals)
        #expect(found.map { $0.map(\.tokens) } == expected.map { $0.map(\.tokens) })
    }

    @Test("belong to keys of their own, as sequences do whose loss is elsewhere")
    func keys() {
        let plain = TrainingSequence(tokens: [1, 2, 3, 4])
        let masked = TrainingSequence(tokens: [1, 2, 3, 4], loss: LossMask([2..<4]))
        let other = TrainingSequence(tokens: [1, 2, 3, 4], loss: LossMask([1..<2, 3..<4]))
        #expect(Set([plain, masked, other].map(ContentKey.init(sequence:))).count == 3)
        #expect(Set([plain, masked, other].map(GradientIndexFile.hash(of:))).count == 3)
    }
}
