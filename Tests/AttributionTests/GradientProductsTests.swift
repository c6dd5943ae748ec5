import LinearAlgebra
import Testing

@testable import Attribution
@testable import Transformer

@Suite("Inner products of gradients and queries")
struct GradientProductsTests {
    private func random(rows: Int, columns: Int, _ generator: inout SplitMix64) -> Matrix {
        Matrix(
            rows: rows, columns: columns,
            elements: (0..<(rows * columns)).map { _ in Float.random(in: -1...1, using: &generator) })
    }

    /// Layers with one block of rows, with several, and with a smaller last block.
    @Test("are those of the whole matrices, however many rows are formed at a time", arguments: [1, 40, 256, 700])
    func blocks(outputs: Int) {
        let inputs = 48
        #expect(GradientProducts.blockRows(inputs: inputs) == 256)
        var generator = SplitMix64(seed: 1)
        var batch = TokenBatch()
        for length in [5, 1, 17] { batch.append([Int32](repeating: 0, count: length)) }
        let a = random(rows: batch.tokens.count, columns: inputs, &generator)
        let d = random(rows: batch.tokens.count, columns: outputs, &generator)
        let whole = (0..<3).map { _ in random(rows: outputs, columns: inputs, &generator) }
        let layer = TrackedLayer(index: 0, name: "layer", inputs: inputs, outputs: outputs, inputOwner: 0)
        let pass = LayerPass(layer: layer, inputs: a.slice, outputGradients: d.slice, batch: batch)
        var products = GradientProducts(
            queries: ScoringQueries(whole.map { PreconditionedQuery(layers: [.full($0)]) }, form: .gradients))
        var table = ScoreTable(rows: batch.sequences.count, columns: whole.count)
        for _ in 0..<2 { products.add(pass, to: &table) }

        for (sequence, tokens) in batch.sequences.enumerated() {
            for (query, matrix) in whole.enumerated() {
                var expected = 0.0
                for row in 0..<outputs {
                    for column in 0..<inputs {
                        let gradient = tokens.reduce(0.0) { $0 + Double(d[$1, row]) * Double(a[$1, column]) }
                        expected += gradient * Double(matrix[row, column])
                    }
                }
                let size = Double(tokens.count * outputs * inputs).squareRoot()
                #expect(abs(table[sequence, query] - 2 * expected) < 1e-5 * size)
            }
        }
    }
}
