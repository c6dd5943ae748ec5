import LinearAlgebra

/// The columns of queries, keys and values in the outputs of attention's input layers.
struct AttentionLayout: Sendable, Equatable {
    let queries: HeadVectors
    let keys: HeadVectors
    let values: HeadVectors
    /// The number of all columns.
    let width: Int
    fileprivate let group: Int

    /// Vectors of one kind, one per head, at equal distances.
    struct HeadVectors: Sendable, Equatable {
        let start: Int
        /// The columns from the start of one vector to that of the next.
        let stride: Int
        let count: Int
        let width: Int

        func columns(of head: Int) -> Range<Int> {
            (start + head * stride)..<(start + head * stride + width)
        }
    }

    /// Keys and values only, those of all heads side by side.
    var withoutQueries: AttentionLayout {
        func vectors(_ start: Int, _ count: Int) -> HeadVectors {
            HeadVectors(start: start, stride: keys.width, count: count, width: keys.width)
        }
        let keyWidth = keys.count * keys.width
        return AttentionLayout(
            queries: vectors(0, 0), keys: vectors(0, keys.count), values: vectors(keyWidth, values.count),
            width: 2 * keyWidth, group: group)
    }

    /// The key-value head that a query head reads.
    func sharedHead(of head: Int) -> Int { head / group }
}

extension AttentionLayout {
    init(_ description: DecoderDescription) {
        let width = description.headWidth
        let isByHead = description.attentionInput == .fusedByHead
        func vectors(_ start: Int, _ count: Int) -> HeadVectors {
            HeadVectors(start: start, stride: isByHead ? 3 * width : width, count: count, width: width)
        }
        self.init(
            queries: vectors(0, description.heads),
            keys: vectors(isByHead ? width : description.queryWidth, description.keyValueHeads),
            values: vectors(
                isByHead ? 2 * width : description.queryWidth + description.keyValueWidth, description.keyValueHeads),
            width: description.projectedWidth, group: description.heads / description.keyValueHeads)
    }
}

/// The keys and values of a text's tokens so far in one layer, which attention reads again for later tokens.
struct PastTokens: Sendable {
    /// The columns of keys and values in ``keysAndValues``.
    let layout: AttentionLayout
    /// capacity × (keys + values), rotated and normalised as attention reads them. Only the first ``count`` rows are filled.
    private(set) var keysAndValues = Matrix()
    /// Tokens read so far.
    private(set) var count = 0

    /// - Parameters:
    ///   - projected: The layout of the attention's projections.
    ///   - capacity: The largest number of tokens that the text can have. Memory for all is allocated at once.
    init(_ projected: AttentionLayout, capacity: Int) {
        layout = projected.withoutQueries
        keysAndValues.resize(rows: capacity, columns: layout.width)
    }

    /// Adds the keys and values of more tokens.
    ///
    /// - Parameters:
    ///   - projected: tokens × (queries + keys + values)
    ///   - source: The layout of `projected`.
    mutating func append(_ projected: Matrix, _ source: AttentionLayout) {
        precondition(
            count + projected.rows <= keysAndValues.rows,
            "\(count + projected.rows) tokens exceed the capacity of \(keysAndValues.rows)")
        for head in 0..<layout.keys.count {
            for (from, to) in [(source.keys, layout.keys), (source.values, layout.values)] {
                keysAndValues.copy(
                    projected[columns: from.columns(of: head)], toRow: count, column: to.columns(of: head).lowerBound)
            }
        }
        count += projected.rows
    }
}
