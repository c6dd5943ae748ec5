import LinearAlgebra
import Testing

@Suite("A score table")
struct ScoreTableTests {
    @Test("adds the dot product of each segment to its own column", arguments: oddSizes)
    func segments(width: Int) {
        let left = Matrix.random(rows: 4, columns: 3 * width, seed: 1)
        let right = Matrix.random(rows: 4, columns: 3 * width, seed: 2)
        var table = ScoreTable(rows: 4, columns: 5)
        // Twice: what was there stays.
        for _ in 0..<2 { table.addSegmentedDots(left, right, width: width, column: 1) }
        let expected = zip(left.doubleRows, right.doubleRows).map { left, right in
            [0] + KernelReference.segmentedDots(left, right, width: width).map { 2 * $0 } + [0]
        }
        let largestTerm = (zip(left.doubles, right.doubles).map { abs($0 * $1) }.max() ?? 0) * Double(width)
        #expect(
            deviation(table.values, from: Array(expected.joined()), relativeTo: largestTerm)
                < KernelReference.segmentTolerance)
        #expect(table.values.contains { $0 != 0 })
    }

    @Test("adds row-wise dot products of parts of matrices", arguments: oddSizes)
    func rowDots(width: Int) {
        let left = Matrix.random(rows: 6, columns: width + 3, seed: 1)
        let right = Matrix.random(rows: 5, columns: width + 1, seed: 2)
        var table = ScoreTable(rows: 4, columns: 3)
        let leftPart = left[rows: 2..<6, columns: 2..<(width + 2)]
        let rightPart = right[rows: 1..<5, columns: 0..<width]
        table.addRowDots(leftPart, rightPart, toColumn: 2)
        let expected = zip(leftPart.doubleRows, rightPart.doubleRows).flatMap { left, right -> [Double] in
            [0, 0, KernelReference.dot(left, right)]
        }
        #expect(
            deviation(table.values, from: expected, relativeTo: Double(width)) < KernelReference.segmentTolerance)
        #expect(table[3, 2] != 0)
    }

    @Test("sums in Float64: many small scores beside a large one are not lost")
    func accumulation() {
        let one = Matrix(rows: 1, columns: 1, elements: [1])
        var table = ScoreTable(rows: 1, columns: 1)
        table.addRowDots(Matrix(rows: 1, columns: 1, elements: [1e9]).slice, one.slice, toColumn: 0)
        for _ in 0..<1_000 { table.addRowDots(one.slice, one.slice, toColumn: 0) }
        #expect(table[0, 0] == 1_000_001_000)
    }

    @Test("adds another table, sums ranges of rows and starts again from zero")
    func tables() {
        func table(_ factor: Float) -> ScoreTable {
            var table = ScoreTable(rows: 3, columns: 2)
            let column = Matrix(rows: 3, columns: 1, elements: [1, 2, 4])
            let factors = Matrix(rows: 3, columns: 1, elements: [factor, factor, factor])
            table.addRowDots(column.slice, factors.slice, toColumn: 1)
            return table
        }
        var sum = table(1)
        sum.add(table(10))
        #expect(sum.values == [0, 11, 0, 22, 0, 44])
        #expect(sum.sum(rows: 1..<3, column: 1) == 66)
        #expect(sum.sum(rows: 1..<1, column: 1) == 0)
        #expect(sum.sum(rows: 0..<3, column: 0) == 0)
        sum.reset(rows: 2, columns: 3)
        #expect(sum.rows == 2 && sum.columns == 3)
        #expect(sum.values == [0, 0, 0, 0, 0, 0])
    }

    @Test("takes nothing from matrices without rows")
    func empty() {
        var table = ScoreTable(rows: 0, columns: 2)
        table.addSegmentedDots(Matrix(rows: 0, columns: 4), Matrix(rows: 0, columns: 4), width: 2, column: 0)
        table.addRowDots(Matrix(rows: 0, columns: 4).slice, Matrix(rows: 0, columns: 4).slice, toColumn: 1)
        #expect(table.values.isEmpty)
        #expect(table.sum(rows: 0..<0, column: 1) == 0)
    }
}
