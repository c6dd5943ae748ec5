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

    @Test("multiply some rows by their own factors, and add to them multiples of another's", arguments: [1, 7, 33])
    func rows(columns: Int) {
        var generator = SplitMix64(seed: UInt64(columns))
        func random(rows: Int) -> Matrix {
            Matrix(rows: rows, columns: columns, elements: (0..<(rows * columns)).map { _ in generator.nextNormal() })
        }
        let matrix = random(rows: 5)
        let other = random(rows: 2)
        let row = random(rows: 1)
        var scaled = matrix
        scaled.scaleRows(from: 2, by: [3, 1, -0.5])
        var sum = matrix
        sum.addRows(from: 3, of: other, scaledBy: [2, -4])
        var all = matrix
        all.addToRows(row.slice)
        for column in 0..<columns {
            let before = (0..<5).map { matrix[$0, column] }
            #expect(
                (0..<5).map { scaled[$0, column] } == [before[0], before[1], 3 * before[2], before[3], -before[4] / 2])
            #expect((0..<3).map { sum[$0, column] } == Array(before[..<3]))
            #expect(abs(sum[3, column] - (before[3] + 2 * other[0, column])) < 1e-6)
            #expect(abs(sum[4, column] - (before[4] - 4 * other[1, column])) < 1e-6)
            #expect((0..<5).map { all[$0, column] } == before.map { $0 + row[0, column] })
        }
    }
}
