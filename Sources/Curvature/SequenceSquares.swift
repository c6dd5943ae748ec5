import LinearAlgebra

/// Adds the squares of each sequence's `Dᵀ A`, entry by entry, to a sum.
struct SequenceSquares: Sendable {
    /// Some rows of a sequence's product, few enough to stay in the processor's cache until their squares are taken.
    private var rows = Matrix()
    private var squares = Matrix()
    private static let blockRows = 64

    /// - Parameters:
    ///   - outputs: `D`, tokens × out.
    ///   - inputs: `A`, tokens × in.
    ///   - sequences: Which tokens belong to which sequence.
    mutating func add(
        _ outputs: MatrixSlice, _ inputs: MatrixSlice, of sequences: [Range<Int>], to sum: inout SquareAccumulator
    ) {
        squares.resize(rows: outputs.columns, columns: inputs.columns, filledWith: 0)
        // All sequences' share of some rows, so that the sums stay in the cache as well.
        for start in stride(from: 0, to: outputs.columns, by: Self.blockRows) {
            let columns = start..<min(start + Self.blockRows, outputs.columns)
            for tokens in sequences {
                rows.formProduct(outputs[rows: tokens, columns: columns].transposed, inputs[rows: tokens])
                squares.addSquares(of: rows, fromRow: start)
            }
        }
        sum.add(squares)
    }
}
