import LinearAlgebra
import Transformer

/// Finds the norm of each sequence's gradient over all tracked layers, by which a cosine divides.
struct GradientNormTap: GradientTap, Sendable {
    /// One a sequence of the last batch.
    private(set) var norms: [Double] = []
    private var squares: [Double] = []
    private var gradient = Matrix()

    mutating func record(_ pass: LayerPass) {
        if squares.isEmpty { squares = [Double](repeating: 0, count: pass.batch.sequences.count) }
        for (index, rows) in pass.batch.sequences.enumerated() {
            gradient.formProduct(pass.outputGradients[rows: rows].transposed, pass.inputs[rows: rows])  // out × in
            squares[index] += gradient.squaredNorm
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        norms = squares.map { $0.squareRoot() }
        squares = []
    }
}
