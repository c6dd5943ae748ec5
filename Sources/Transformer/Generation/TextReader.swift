import LinearAlgebra

/// Reads a text from its beginning, some tokens at a time, and tells what may follow.
///
/// Each token is read once: its keys and values are kept for those after it. What is found is what a pass over the whole text
/// finds, but for rounding.
struct TextReader: Sendable {
    private let decoder: DecoderModel
    private var workspace = DecoderWorkspace()
    /// Tokens read so far.
    private(set) var count = 0

    /// - Parameter capacity: The most tokens that the text will have, within the model's context:
    ///   ``DecoderModel/pastTokenBytes`` are taken for each.
    init(_ decoder: DecoderModel, capacity: Int) {
        self.decoder = decoder
        workspace.prepare(blocks: decoder.blocks.count)
        for (index, block) in decoder.blocks.enumerated() {
            workspace.blocks[index].attention.past = PastTokens(block.attention.layout, capacity: capacity)
        }
    }

    /// Reads more tokens, at least one.
    ///
    /// - Complexity: A forward pass over them, without the head, and attention to all that were read before.
    mutating func read(_ tokens: some Sequence<Int32>) {
        var batch = TokenBatch()
        batch.append(Array(tokens), from: count)
        decoder.forward(batch, in: &workspace)
        count += batch.tokens.count
    }

    /// The logits of the token that follows what was read last: 1 × vocabulary.
    func nextLogits() -> Matrix {
        let hidden = workspace.finalNorm.outputs
        var logits = Matrix()
        decoder.head.formLogits(of: hidden[rows: (hidden.rows - 1)..<hidden.rows], into: &logits)
        return logits
    }
}

extension DecoderModel {
    /// The bytes that are kept for each token of a text while it is continued: keys and values in every layer.
    public var pastTokenBytes: Int {
        2 * description.layers * description.keyValueWidth * MemoryLayout<Float>.stride
    }
}
