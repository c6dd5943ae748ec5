import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A text that is read in parts")
struct TextReaderTests {
    /// The logits behind each token of a text, from one pass over all of it.
    private func wholePass(_ text: [Int32], _ decoder: DecoderModel) -> Matrix {
        var batch = TokenBatch()
        batch.append(text)
        var workspace = DecoderWorkspace()
        return decoder.logits(of: batch, at: Array(text.indices), in: &workspace)
    }

    /// Compares the logits behind each part with those of a whole pass.
    private func expectSameLogits(
        _ text: [Int32], in lengths: [Int], _ decoder: DecoderModel, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let expected = wholePass(text, decoder)
        let largest = expected.elements.map(abs).max() ?? 0
        var reader = TextReader(decoder, capacity: text.count)
        for length in lengths where reader.count < text.count {
            reader.read(text[reader.count..<min(reader.count + length, text.count)])
            let found = reader.nextLogits().elements
            let reference = Matrix(expected[rows: (reader.count - 1)..<reader.count]).elements
            let worst = zip(found, reference).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= 1e-5 * max(1, largest), "after \(reader.count) tokens", sourceLocation: sourceLocation)
        }
        #expect(reader.count == text.count, sourceLocation: sourceLocation)
    }

    @Test("is continued as one that is read at once, in every family", arguments: ModelFixture.all)
    func everyFamily(fixture: ModelFixture) throws {
        let decoder = try fixture.decoder()
        for sequence in try fixture.sequences() {
            expectSameLogits(sequence, in: Array(repeating: 1, count: sequence.count), decoder)
            expectSameLogits(sequence, in: [3, 1, 1, 5, 2, sequence.count], decoder)
            expectSameLogits(sequence, in: [sequence.count], decoder)
        }
    }

    @Test("sees through windows as far as one that is read at once", arguments: ["mistral", "gemma3", "gpt-neo"])
    func windows(name: String) throws {
        var description = try ModelFixture(name: name).decoder().description
        description.attention.windows = [100, 9, nil].prefix(description.layers).map { $0 }
        if description.position != .learned { description.contextLength = 300 }
        let decoder = try ModelFixture(name: name).decoder().with(description)
        var generator = SplitMix64(seed: 7)
        let text = (0..<min(260, description.contextLength)).map { _ in
            Int32(generator.next() % UInt64(description.vocabulary))
        }
        // Parts longer than a block of queries and shorter, before and behind the windows' reach.
        expectSameLogits(text, in: [8, 1, 2, 150, 1, 1, 90, 1, 1, 300], decoder)
    }

    @Test("keeps keys and values of each token, those of grouped heads once")
    func memory() throws {
        let decoder = try ModelFixture(name: "llama-grouped-tied").decoder()
        let description = decoder.description
        #expect(description.keyValueHeads < description.heads)
        #expect(
            decoder.pastTokenBytes == 2 * 4 * description.layers * description.keyValueHeads * description.headWidth)
        let past = PastTokens(decoder.blocks[0].attention.layout, capacity: 10)
        #expect(past.keysAndValues.byteCount * description.layers == 10 * decoder.pastTokenBytes)
    }

    @Test("leaves passes over other texts as they are")
    func ordinaryPasses() throws {
        let decoder = try ModelFixture(name: "gpt2").decoder()
        var batch = TokenBatch()
        batch.append([4, 5, 6])
        batch.append([7, 8], from: 5)
        #expect(batch.positions == [0, 1, 2, 5, 6])
        #expect(batch.positionCount == 7)
        #expect(DecoderWorkspace().blocks.isEmpty)
        let before = wholePass([4, 5, 6], decoder)
        var reader = TextReader(decoder, capacity: 3)
        reader.read([4, 5, 6])
        #expect(wholePass([4, 5, 6], decoder) == before)
    }
}
