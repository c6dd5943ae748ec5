import LinearAlgebra

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
