import LinearAlgebra
import Testing

@Suite("A matrix of blocks on the diagonal")
struct BlockDiagonalTests {
    private let matrix = BlockDiagonal(
        blocks: [
            .random(rows: 3, columns: 3, seed: 1), .random(rows: 5, columns: 5, seed: 2),
            .random(rows: 1, columns: 1, seed: 3),
        ])

    private var dense: Matrix {
        var dense = Matrix(rows: 9, columns: 9)
        for (block, range) in zip(matrix.blocks, matrix.ranges) {
            dense.copy(block.slice, toRow: range.lowerBound, column: range.lowerBound)
        }
        return dense
    }

    @Test("multiplies as the whole matrix does, from either side, transposed or not", arguments: [false, true])
    func products(transposed: Bool) {
        let other = Matrix.random(rows: 4, columns: 9, seed: 4)
        var found = Matrix()
        var expected = Matrix()
        found.formProduct(other.slice, matrix, transposed: transposed)
        expected.formProduct(other.slice, transposed ? dense.transposed : dense.slice)
        #expect(found.rows == 4 && deviation(found.doubles, from: expected.doubles) < 1e-6)
        let right = Matrix.random(rows: 9, columns: 4, seed: 5)
        found.formProduct(matrix, transposed: transposed, right.slice)
        expected.formProduct(transposed ? dense.transposed : dense.slice, right.slice)
        #expect(found.columns == 4 && deviation(found.doubles, from: expected.doubles) < 1e-6)
    }

    @Test("writes out some of its columns")
    func columns() {
        let columns = matrix.columns([8, 0, 4])
        #expect(columns.rows == 9)
        for row in 0..<9 {
            #expect(columns[row, 0] == dense[row, 8] && columns[row, 1] == dense[row, 0])
            #expect(columns[row, 2] == dense[row, 4])
        }
    }

    @Test("splits as evenly as can be into blocks no larger than asked for")
    func ranges() {
        #expect(BlockDiagonal.ranges(order: 9, largest: nil) == [0..<9])
        #expect(BlockDiagonal.ranges(order: 9, largest: 9) == [0..<9])
        #expect(BlockDiagonal.ranges(order: 9, largest: 8) == [0..<4, 4..<9])
        #expect(BlockDiagonal.ranges(order: 9, largest: 4) == [0..<3, 3..<6, 6..<9])
        #expect(BlockDiagonal.ranges(order: 9, largest: .max) == [0..<9])
        #expect(BlockDiagonal.ranges(order: 9, largest: 0) == [0..<9])
        #expect(BlockDiagonal.ranges(order: 0, largest: 4) == [0..<0])
    }
}
