import Foundation
import LinearAlgebra
import Testing

@Suite("The cross-entropy of logits that come in parts")
struct StreamedCrossEntropyTests {
    private static let rows = 6

    /// What parts of some widths give: the losses, the softmax without the label, and the label's share of the gradient.
    private func stream(
        _ logits: Matrix, labels: [Int32], widths: [Int]
    ) -> (losses: [Float], probabilities: [[Double]], others: [Double]) {
        var streamed = StreamedCrossEntropy()
        streamed.start(labels: labels)
        var sums = [[Double]](repeating: [], count: logits.rows)
        var first = 0
        for width in widths {
            var part = Matrix(logits[columns: first..<(first + width)])
            streamed.take(&part, from: first)
            for row in sums.indices {
                sums[row] = sums[row].map { $0 * Double(streamed.scales[row]) } + part.doubleRows[row]
            }
            first += width
        }
        let reciprocals = streamed.reciprocals.map(Double.init)
        return (
            streamed.losses, zip(sums, reciprocals).map { row, reciprocal in row.map { $0 * reciprocal } },
            zip(streamed.others, reciprocals).map { Double($0) * $1 }
        )
    }

    @Test(
        "is that of whole rows, wherever they are cut",
        arguments: [[97], [1, 96], [96, 1], [33, 32, 32], [64, 33], [Int](repeating: 1, count: 97)])
    func parts(widths: [Int]) {
        for scale in [1, 60] as [Float] {
            let logits = Matrix.random(rows: Self.rows, columns: 97, seed: 1, scale: scale)
            let labels = [0, 33, 96, 64, 1, 50] as [Int32]
            let found = stream(logits, labels: labels, widths: widths)
            let tolerance = KernelReference.softmaxTolerance * Double(scale)
            for (row, label) in labels.enumerated() {
                let twin = KernelReference.crossEntropy(logits.doubleRows[row], label: Int(label))
                var expected = twin.gradient
                #expect(abs(found.others[row] + expected[Int(label)]) < tolerance)
                expected[Int(label)] = 0
                #expect(deviation(found.probabilities[row], from: expected, relativeTo: 1) < tolerance)
                #expect(abs(Double(found.losses[row]) - twin.loss) < KernelReference.lossTolerance * max(1, twin.loss))
            }
        }
    }

    @Test("keeps what is left beside a token that is all but certain, and a loss without bound beside another")
    func extremes() {
        var logits = Matrix(rows: 1, columns: 40)
        logits.fillColumn(7, with: 30)
        let (certain, _, others) = stream(logits, labels: [7], widths: [20, 20])
        let expected = 39 * exp(-30.0)
        #expect(abs(Double(certain[0]) - expected) < 1e-5 * expected)
        #expect(abs(others[0] - expected) < 1e-5 * expected)
        logits.fillColumn(7, with: 1_000)
        #expect(abs(stream(logits, labels: [8], widths: [20, 20]).losses[0] - 1_000) < 1e-3)
        #expect(stream(logits, labels: [8], widths: [4, 36]).others[0] > 0.999)
    }
}
