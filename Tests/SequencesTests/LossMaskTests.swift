import Sequences
import Testing

@Suite struct LossMaskTests {
    @Test func `Spans are put in order and joined where they touch or overlap`() {
        #expect(LossMask([5..<7, 0..<2, 2..<3, 6..<9, 4..<4]).spans == [0..<3, 5..<9])
        #expect(LossMask([]).spans == [])
        #expect(LossMask.all.spans == nil)
    }

    @Test func `A list of tokens gives the same mask as its spans`() {
        #expect(LossMask([false, true, true, false, true]) == LossMask([1..<3, 4..<5]))
        #expect(LossMask([Bool]()) == LossMask([Range<Int>]()))
    }

    @Test func `Tokens are counted within a range`() {
        let mask = LossMask([1..<3, 5..<8])
        #expect(mask.count(within: 0..<8) == 5)
        #expect(mask.count(within: 2..<6) == 2)
        #expect(LossMask.all.count(within: 2..<6) == 4)
        #expect(mask[2])
        #expect(!mask[3])
    }

    @Test func `A part counts from its own start, and tokens in front shift the spans`() {
        let mask = LossMask([1..<3, 5..<8])
        #expect(mask.part(2..<6) == LossMask([0..<1, 3..<4]))
        #expect(mask.behind(2) == LossMask([3..<5, 7..<10]))
        #expect(LossMask.all.part(2..<6) == .all)
        #expect(LossMask.all.behind(1) == .all)
    }

    @Test func `The loss tokens of a sequence are those that something predicts`() {
        #expect(TrainingSequence(tokens: [1, 2, 3]).lossTokens == 2)
        #expect(TrainingSequence(tokens: [1, 2, 3], loss: LossMask([0..<2])).lossTokens == 1)
        #expect(TrainingSequence(tokens: [1], loss: .all).lossTokens == 0)
        #expect(TrainingSequence(tokens: [], loss: .all).lossTokens == 0)
    }
}
