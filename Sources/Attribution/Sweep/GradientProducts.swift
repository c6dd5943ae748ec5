import LinearAlgebra
import Transformer

/// The inner products of each sequence's gradient with every query: `<Dᵀ A, P>`.
///
/// `T in out` multiply-adds a layer for the gradient of T tokens, whatever the number of queries, and `in out` for each query. Some rows
/// of all gradients are formed at a time, and multiplied with the queries' while they are in the processor's cache.
struct GradientProducts: Sendable {
    let queries: ScoringQueries
    /// sequences × (rows · in), and what sets one sequence's apart from the next one's.
    private var gradients = Matrix()
    /// sequences × queries
    private var products = Matrix()

    /// Of some rows of a gradient, about.
    private static let blockValues = 16_384
    /// Fewer rows than that multiply slowly.
    private static let leastRows = 32
    /// Sequences whose values are a power of two apart would share the places of a cache.
    private static let gap = 16

    init(queries: ScoringQueries) {
        self.queries = queries
    }

    /// Rows of a gradient that are formed at a time: a power of two, as widths of layers are multiples of those.
    static func blockRows(inputs: Int) -> Int {
        var rows = leastRows
        while 2 * rows * inputs <= blockValues { rows *= 2 }
        return rows
    }

    /// Adds the products of one layer.
    ///
    /// - Parameter table: sequences × queries
    mutating func add(_ pass: LayerPass, to table: inout ScoreTable) {
        let (inputs, outputs) = (pass.layer.inputs, pass.layer.outputs)
        let sequences = pass.batch.sequences
        let whole = queries.whole[pass.layer.index]
        let step = min(Self.blockRows(inputs: inputs), outputs)
        gradients.resize(rows: sequences.count, columns: step * inputs + Self.gap)
        for start in stride(from: 0, to: outputs, by: step) {
            let block = start..<min(start + step, outputs)
            for (index, rows) in sequences.enumerated() {
                gradients.setRow(
                    index, toProduct: pass.outputGradients[rows: rows, columns: block].transposed,
                    pass.inputs[rows: rows])
            }
            products.formProduct(
                gradients[columns: 0..<(block.count * inputs)],
                whole[columns: (block.lowerBound * inputs)..<(block.upperBound * inputs)].transposed)
            table.add(products)
        }
    }
}
