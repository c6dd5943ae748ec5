import LinearAlgebra
import Transformer

/// The inner products of each sequence's gradient with every query: `<Dᵀ A, P>`.
///
/// `T in out` multiply-adds a layer for the gradient of T tokens, whatever the number of queries, and `in out` for each query.
struct GradientProducts: Sendable {
    let queries: ScoringQueries
    /// sequences × (out · in)
    private var gradients = Matrix()
    /// sequences × queries
    private var products = Matrix()

    init(queries: ScoringQueries) {
        self.queries = queries
    }

    /// Adds the products of one layer.
    ///
    /// - Parameter table: sequences × queries
    mutating func add(_ pass: LayerPass, to table: inout ScoreTable) {
        let sequences = pass.batch.sequences
        gradients.resize(rows: sequences.count, columns: pass.layer.inputs * pass.layer.outputs)
        for (index, rows) in sequences.enumerated() {
            gradients.setRow(
                index, toProduct: pass.outputGradients[rows: rows].transposed, pass.inputs[rows: rows])
        }
        products.formProduct(gradients.slice, queries.whole[pass.layer.index].transposed)
        table.add(products)
    }
}
