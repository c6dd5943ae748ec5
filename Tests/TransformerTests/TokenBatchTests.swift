import Sequences
import Testing

@testable import Transformer

@Suite("A batch of tokens")
struct TokenBatchTests {
    private let none = TokenBatch.noTarget

    private func batch(_ sequence: [Int32], _ labels: TokenBatch.Labels) -> TokenBatch {
        var batch = TokenBatch()
        batch.append(sequence, labels: labels)
        return batch
    }

    @Test("packs sequences one behind another, each with positions of its own")
    func packing() {
        var batch = TokenBatch()
        batch.append([10, 11, 12])
        batch.append([])
        batch.append([20, 21], labels: .nextTokensFrom(1))
        batch.append([30])
        #expect(batch.tokens == [10, 11, 12, 20, 21, 30])
        #expect(batch.positions == [0, 1, 2, 0, 1, 0])
        #expect(batch.sequences == [0..<3, 3..<3, 3..<5, 5..<6])
        #expect(batch.targets == [11, 12, none, 21, none, none])
        #expect(batch.lossPositions == [0, 1, 3])
        #expect(!batch.samplesLabels)
        #expect(batch.uniforms.isEmpty)
    }

    @Test("predicts each next token, and nothing after the last")
    func nextTokens() {
        #expect(batch([], .nextTokens).targets == [])
        #expect(batch([], .nextTokens).sequences == [0..<0])
        #expect(batch([7], .nextTokens).targets == [none])
        #expect(batch([7, 8], .nextTokens).targets == [8, none])
        #expect(batch([7, 8, 9], .nextTokens).targets == [8, 9, none])
    }

    @Test("predicts a completion's tokens, each from the position before it", arguments: 0...7)
    func nextTokensFrom(first: Int) {
        let tokens: [Int32] = [10, 11, 12, 13, 14]
        let targets = batch(tokens, .nextTokensFrom(first)).targets
        // Token i is predicted at position i - 1; token 0 nowhere.
        let expected = tokens.indices.map { $0 + 1 < tokens.count && $0 + 1 >= first ? tokens[$0 + 1] : none }
        #expect(targets == expected)
        #expect(batch(tokens, .nextTokensFrom(first)).lossPositions.count == max(0, 5 - max(first, 1)))
    }

    @Test("predicts what there is of a completion in the shortest sequences", arguments: 0...4)
    func shortCompletions(first: Int) {
        #expect(batch([], .nextTokensFrom(first)).targets == [])
        #expect(batch([7], .nextTokensFrom(first)).targets == [none])
        #expect(batch([7, 8], .nextTokensFrom(first)).targets == (first <= 1 ? [8, none] : [none, none]))
        #expect(
            batch([7, 8, 9], .nextTokensFrom(first)).targets == [first <= 1 ? 8 : none, first <= 2 ? 9 : none, none])
    }

    @Test("predicts the labels it is given in place of the tokens, except for negative ones")
    func given() {
        #expect(batch([7, 8, 9], .given([1, 2, 3])).targets == [2, 3, none])
        #expect(batch([7, 8, 9], .given([1, -100, 3])).targets == [none, 3, none])
        #expect(batch([7, 8, 9], .given([1, 0, -1])).targets == [0, none, none])
        #expect(batch([7, 8, 9], .given([1, 2])).targets == [2, none, none])
        #expect(batch([7, 8, 9], .given([1, 2, 3, 4, 5])).targets == [2, 3, none])
        #expect(batch([7, 8, 9], .given([])).targets == [none, none, none])
        #expect(batch([7], .given([1])).targets == [none])
        #expect(batch([], .given([1, 2])).targets == [])
    }

    @Test("has a uniform for each position where labels are sampled, by seed, key and position alone")
    func sampled() {
        let alone = batch([7, 8, 9], .sampled(seed: 1, key: 2))
        #expect(alone.samplesLabels)
        #expect(alone.lossPositions == [0, 1])
        #expect(alone.uniforms.count == 3)
        #expect(Set(alone.uniforms).count == 3)
        #expect(alone.uniforms.allSatisfy { $0 >= 0 && $0 < 1 })

        var packed = TokenBatch()
        packed.append([], labels: .sampled(seed: 1, key: 0))
        packed.append([1], labels: .sampled(seed: 1, key: 1))
        packed.append([7, 8, 9], labels: .sampled(seed: 1, key: 2))
        #expect(packed.uniforms.count == 4)
        #expect(Array(packed.uniforms[1...]) == alone.uniforms)
        #expect(packed.lossPositions == [1, 2])
        // Which tokens they are does not matter; seed and key do.
        #expect(batch([0, 0, 0], .sampled(seed: 1, key: 2)).uniforms == alone.uniforms)
        #expect(batch([7, 8, 9], .sampled(seed: 2, key: 2)).uniforms != alone.uniforms)
        #expect(batch([7, 8, 9], .sampled(seed: 1, key: 3)).uniforms != alone.uniforms)
        #expect(batch([7, 8, 9], .sampled(seed: 2, key: 1)).uniforms != alone.uniforms)
    }
}

@Suite("A micro-batch with masked sequences") struct MaskedTokenBatchTests {
    @Test("has labels only where a token with loss follows")
    func targets() {
        var batch = TokenBatch()
        batch.append([9, 8], labels: .nextTokens)
        batch.append(TrainingSequence(tokens: [10, 11, 12, 13, 14], loss: LossMask([0..<2, 3..<4])))
        #expect(batch.targets == [8, -1, 11, -1, 13, -1, -1])
        #expect(batch.lossPositions == [0, 2, 4])
    }

    @Test(
        "has no labels for sequences without loss, and ignores spans behind the end",
        arguments: [
            (LossMask([]), [-1, -1, -1]), (LossMask([0..<1]), [-1, -1, -1]), (LossMask([2..<9]), [-1, 3, -1]),
            (LossMask([7..<9]), [-1, -1, -1]), (LossMask.all, [2, 3, -1]), (LossMask([0..<3]), [2, 3, -1]),
        ])
    func edges(mask: LossMask, expected: [Int32]) {
        var batch = TokenBatch()
        batch.append(TrainingSequence(tokens: [1, 2, 3], loss: mask))
        #expect(batch.targets == expected)
    }

    @Test("samples labels only where there is loss, and takes given labels only there")
    func otherLabels() {
        let sequence = TrainingSequence(tokens: [1, 2, 3, 4], loss: LossMask([2..<3]))
        var batch = TokenBatch()
        batch.append(sequence, labels: .sampled(seed: 1, key: 2))
        #expect(batch.lossPositions == [1])
        #expect(batch.samplesLabels)
        batch = TokenBatch()
        batch.append(sequence, labels: .given([5, 6, 7, 8]))
        #expect(batch.targets == [-1, 7, -1, -1])
    }

    @Test("takes an empty sequence")
    func empty() {
        var batch = TokenBatch()
        batch.append(TrainingSequence(tokens: [], loss: LossMask([0..<2])))
        #expect(batch.targets.isEmpty)
        #expect(batch.sequences == [0..<0])
    }
}
