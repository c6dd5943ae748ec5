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
        formLogits(of: hidden, tokens: 0..<weight.rows, into: &logits)
    }

    /// Becomes the logits of some tokens alone: rows × tokens.
    func formLogits(of hidden: MatrixSlice, tokens: Range<Int>, into logits: inout Matrix) {
        logits.formProduct(hidden, weight[rows: tokens].transposed)
        if let bias { logits.addToRows(bias[columns: tokens]) }
        if let cap { logits.applySoftCap(cap) }
    }
}
