import LinearAlgebra
import Testing

@Suite("Combinations of matrices")
struct VectorCombinationTests {
    @Test("add a multiple of another matrix", arguments: [1, 7, 31, 32, 33])
    func addScaled(columns: Int) {
        var generator = SplitMix64(seed: UInt64(columns))
        var sum = Matrix(rows: 3, columns: columns, elements: (0..<(3 * columns)).map { _ in generator.nextNormal() })
        let other = Matrix(rows: 3, columns: columns, elements: (0..<(3 * columns)).map { _ in generator.nextNormal() })
        let expected = zip(sum.elements, other.elements).map { $0 - 2.5 * $1 }
        sum.add(other, scaledBy: -2.5)
        #expect(zip(sum.elements, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    @Test("multiply each column by its own factor", arguments: [1, 7, 31, 32, 33])
    func columns(columns: Int) {
        var generator = SplitMix64(seed: UInt64(columns))
        let matrix = Matrix(
            rows: 3, columns: columns, elements: (0..<(3 * columns)).map { _ in generator.nextNormal() })
        let factors = Matrix(rows: 1, columns: columns, elements: (0..<columns).map { _ in generator.nextNormal() })
        var scaled = matrix
        scaled.scaleColumns(by: factors)
        for row in 0..<3 {
            for column in 0..<columns { #expect(scaled[row, column] == matrix[row, column] * factors[0, column]) }
        }
    }
}
