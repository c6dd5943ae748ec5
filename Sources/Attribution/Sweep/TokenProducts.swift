import LinearAlgebra
import Transformer

/// The products of a layer's inputs and output gradients with every query, token by token: `d_tᵀ P a_t`.
///
/// A low-rank query costs `rank · (in + out)` multiply-adds a token and layer, a full one `in · out`, and that only for tokens
/// of sequences that it wants.
struct TokenProducts: Sendable {
    let queries: ScoringQueries
    private var left = Matrix()
    private var right = Matrix()

    init(queries: ScoringQueries) {
        self.queries = queries
    }

    /// Adds the products of one layer.
    ///
    /// - Parameters:
    ///   - rows: For each full query the rows of the sequences that it wants; `nil` for all.
    ///   - table: tokens × queries
    mutating func add(_ pass: LayerPass, rows: [[Range<Int>]]?, to table: inout ScoreTable) {
        let layer = pass.layer.index
        for group in queries.groups {
            left.formProduct(pass.outputGradients, group.left[layer])  // tokens × (queries · rank)
            right.formProduct(pass.inputs, group.right[layer])
            table.addSegmentedDots(left, right, width: group.width, column: group.column)
        }
        for (index, query) in queries.full.enumerated() {
            for rows in rows?[index] ?? [0..<pass.inputs.rows] {
                left.formProduct(pass.inputs[rows: rows], query.layers[layer].transposed)  // tokens × out
                table.addRowDots(
                    pass.outputGradients[rows: rows], left.slice, toColumn: query.column, fromRow: rows.lowerBound)
            }
        }
    }
}
