import CVectorKernels

/// The blocks of a query's tokens, and the scores that they give the sequences of one stretch.
///
/// The tokens' bits are the rows of a table, and each column is a sequence: its score is the sum of the weights of the rows that have a
/// one there, in the order of the tokens, in double precision. This visits every sequence, thirty-two at a time, and costs the same
/// whether a token is in all sequences or in half of them.
struct WeightedPostings {
    private struct Entry {
        let token: Int
        let block: PostingBlock
    }

    /// The blocks by stretch, in the order of their tokens.
    private var stretches: [[Entry]]
    private var weights: [Double] = []

    // Buffers, reused from stretch to stretch.
    private var bits: [UInt8] = []
    private var rows: [Double] = []
    private var scores = [Double](repeating: 0, count: PostingBlock.span)
    private var above = [UInt32](repeating: 0, count: PostingBlock.span)

    private let last: Int

    /// - Parameter last: The last rowid that is scored.
    init(last: Int) {
        stretches = Array(repeating: [], count: last / PostingBlock.span + 1)
        self.last = last
    }

    /// The rowids of each stretch that has a block.
    var ranges: some Sequence<Range<Int>> {
        stretches.indices.lazy.filter { !stretches[$0].isEmpty }.map { [last] stretch in
            stretch * PostingBlock.span..<min((stretch + 1) * PostingBlock.span, last + 1)
        }
    }

    /// Adds a block of the current token. Its stretch must be one of the corpus.
    mutating func append(_ block: PostingBlock, stretch: Int) {
        stretches[stretch].append(Entry(token: weights.count, block: block))
    }

    /// Ends the blocks of the current token.
    mutating func endToken(weight: Double) {
        weights.append(weight)
    }

    /// Scores the sequences of one of ``ranges``, and calls the body with each one above a threshold, in ascending order.
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
