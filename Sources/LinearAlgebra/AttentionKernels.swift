import CVectorKernels

// The safe face of attention's kernels, each checking the shapes that the C code relies on.

extension Matrix {
    /// Each row r becomes the softmax of its first `firstLimit + r` entries times `scale`, and zero behind them.
    ///
    /// - Parameter window: At most so many of those entries, the last ones, have a share; `nil` gives all one.
    public mutating func applyCausalSoftmax(scale: Float, firstLimit: Int, window: Int? = nil) {
        precondition(firstLimit > 0 && (window ?? 1) > 0)
        // Every row then keeps at least one entry.
        precondition(window == nil || firstLimit + rows - 1 <= columns || rows == 0, "a row would see nothing")
        tributary_causal_softmax(uniquePointer(), columns, scale, rows, columns, firstLimit, window ?? .max)
    }

    /// From the gradient of softmax outputs to that of its inputs before they were scaled, in place.
    public mutating func applySoftmaxGradient(probabilities: Matrix, scale: Float) {
        precondition(probabilities.rows == rows && probabilities.columns == columns)
        tributary_softmax_backward(probabilities.pointer, columns, uniquePointer(), columns, scale, rows, columns)
    }

    /// Rotates head vectors in place (rotary position embedding, halves layout): the first `2 · half` entries of each, the rest
    /// staying as it is.
    ///
    /// - Parameters:
    ///   - heads: Number of head vectors, from the given column on.
    ///   - headWidth: Columns from the start of one vector to that of the next.
    ///   - positions: One a row.
    ///   - cosine: positions × half, as is `sine`.
    ///   - isInverse: Undoes the rotation, as the backward pass does.
    public mutating func rotateHalves(
        fromColumn column: Int, heads: Int, headWidth: Int, positions: [Int32], cosine: Matrix, sine: Matrix,
        isInverse: Bool
    ) {
        let half = cosine.columns
        precondition(
            column >= 0 && column + (heads - 1) * headWidth + 2 * half <= columns && 2 * half <= headWidth
                && positions.count == rows
                && sine.rows == cosine.rows && sine.columns == half)
        precondition(positions.allSatisfy { $0 >= 0 && Int($0) < cosine.rows }, "position outside the table")
        tributary_rotate_halves(
            uniquePointer() + column, columns, positions, cosine.pointer, sine.pointer, isInverse ? -1 : 1, rows, heads,
            headWidth, half)
    }
}
