import CVectorKernels

/// The blocks of a query's tokens, and the scores that they give the sequences of one stretch.
///
/// The tokens' bits are laid under each other, and each column of bits is a sequence: its score is the sum of the weights of the
/// rows with a one, in the order of the tokens, in double precision. This visits every sequence, but thirty-two at a time, and
/// costs the same whether a token is in all sequences or in half of them.
struct WeightedPostings {
    private struct Entry {
        let token: Int
        let block: PostingBlock
    }

    /// The blocks by stretch, in the order of their tokens.
    private var stretches: [[Entry]]
    private var weights: [Double] = []

    // Kept from one stretch to the next.
    private var bits: [UInt8] = []
    private var rows: [Double] = []
    private var scores = [Double](repeating: 0, count: PostingBlock.span)
    private var above = [UInt32](repeating: 0, count: PostingBlock.span)

    /// For the sequences whose rowids are up to `last`.
    init(last: Int) {
        stretches = Array(repeating: [], count: last / PostingBlock.span + 1)
        self.last = last
    }

    private let last: Int

    /// The rowids of all stretches that any block is of.
    var ranges: some Sequence<Range<Int>> {
        stretches.indices.lazy.filter { !stretches[$0].isEmpty }.map { [last] stretch in
            stretch * PostingBlock.span..<min((stretch + 1) * PostingBlock.span, last + 1)
        }
    }

    /// Adds a block of the next token; its stretch must be one of the corpus.
    mutating func append(_ block: PostingBlock, stretch: Int) {
        stretches[stretch].append(Entry(token: weights.count, block: block))
    }

    /// Ends the blocks of a token.
    mutating func endToken(weight: Double) {
        weights.append(weight)
    }

    /// Scores the sequences of one of ``ranges``, and hands over those above a threshold, in ascending order.
    ///
    /// - Returns: Whether all blocks of the stretch were within the range.
    mutating func forEachMatch(in range: Range<Int>, above threshold: Double, _ body: (Int, Double) -> Void) -> Bool {
        let size = (range.count + 31) / 32 * 4
        let entries = stretches[range.lowerBound / PostingBlock.span]
        bits.removeAll(keepingCapacity: true)
        bits.append(contentsOf: repeatElement(0, count: entries.count * size))
        rows.removeAll(keepingCapacity: true)
        for (row, entry) in entries.enumerated() {
            guard entry.block.set(in: &bits, from: row * size, size: size) else { return false }
            rows.append(weights[entry.token])
        }
        let found = tributary_bit_scores(bits, size, rows, rows.count, threshold, &scores, &above)
        for index in 0..<found {
            let distance = Int(above[index])
            guard distance < range.count else { return false }
            body(range.lowerBound + distance, scores[distance])
        }
        return true
    }
}
