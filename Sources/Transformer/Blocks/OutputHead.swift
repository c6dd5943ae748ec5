import LinearAlgebra

/// What turns hidden states into logits.
struct OutputHead {
    /// vocabulary × width
    let weight: Factor
    /// 1 × vocabulary
    let bias: Matrix?
    /// Logits become `cap · tanh(x / cap)`.
    let cap: Float?

    /// Becomes the logits, rows × vocabulary, of hidden states behind the last normalisation.
    func formLogits(of hidden: MatrixSlice, into logits: inout Matrix) {
        logits.formProduct(hidden, weight.transposed)
        if let bias {
            for row in 0..<logits.rows { logits.addRow(0, of: bias, to: row) }
        }
        if let cap { logits.applySoftCap(cap) }
    }
}
