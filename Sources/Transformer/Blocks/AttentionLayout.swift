import LinearAlgebra

/// Where queries, keys and values stand in the columns of what attention's input layers give.
struct AttentionLayout: Sendable, Equatable {
    let queries: HeadVectors
    let keys: HeadVectors
    let values: HeadVectors
    /// Columns in all.
    let width: Int
    private let group: Int

    /// Vectors of one kind: one a head, in equal distances.
    struct HeadVectors: Sendable, Equatable {
        let start: Int
        /// Columns from the start of one to that of the next.
        let stride: Int
        let count: Int
        let width: Int

        func columns(of head: Int) -> Range<Int> {
            (start + head * stride)..<(start + head * stride + width)
        }
    }

    init(_ description: DecoderDescription) {
        let width = description.headWidth
        let isByHead = description.attentionInput == .fusedByHead
        func vectors(_ start: Int, _ count: Int) -> HeadVectors {
            HeadVectors(start: start, stride: isByHead ? 3 * width : width, count: count, width: width)
        }
        queries = vectors(0, description.heads)
        keys = vectors(isByHead ? width : description.queryWidth, description.keyValueHeads)
        values = vectors(
            isByHead ? 2 * width : description.queryWidth + description.keyValueWidth, description.keyValueHeads)
        self.width = description.projectedWidth
        group = description.heads / description.keyValueHeads
    }

    private init(queries: HeadVectors, keys: HeadVectors, values: HeadVectors, width: Int, group: Int) {
        self.queries = queries
        self.keys = keys
        self.values = values
        self.width = width
        self.group = group
    }

    /// Keys and values alone, those of all heads side by side.
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

/// The keys and values that one layer has found of a text's tokens so far: all that attention reads of them again.
struct PastTokens: Sendable {
    /// Where keys and values stand in the columns of ``keysAndValues``.
    let layout: AttentionLayout
    /// capacity × (keys + values), rotated and normalised as attention reads them; only the first ``count`` rows are filled.
    private(set) var keysAndValues = Matrix()
    /// Tokens read so far.
    private(set) var count = 0

    /// - Parameters:
    ///   - projected: Where an attention has its queries, keys and values.
    ///   - capacity: The most tokens that the text will have. Memory is taken for all at once, and used as they come.
    init(_ projected: AttentionLayout, capacity: Int) {
        layout = projected.withoutQueries
        keysAndValues.resize(rows: capacity, columns: layout.width)
    }

    /// Keeps the keys and values of more tokens.
    ///
    /// - Parameters:
    ///   - projected: tokens × (queries + keys + values)
    ///   - source: Where these stand in it.
    mutating func append(_ projected: Matrix, _ source: AttentionLayout) {
        precondition(
            count + projected.rows <= keysAndValues.rows,
            "\(count + projected.rows) tokens where there is room for \(keysAndValues.rows)")
        for head in 0..<layout.keys.count {
            for (from, to) in [(source.keys, layout.keys), (source.values, layout.values)] {
                keysAndValues.copy(
                    projected[columns: from.columns(of: head)], toRow: count, column: to.columns(of: head).lowerBound)
            }
        }
        count += projected.rows
    }
}
