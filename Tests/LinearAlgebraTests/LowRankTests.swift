import LinearAlgebra
import Testing

@Suite("A low-rank approximation")
struct LowRankTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let rows: Int
        let columns: Int
        var testDescription: String { "\(rows) x \(columns)" }
    }

    /// The last two are large enough for the random subspace at rank 8.
    static let shapes = [
        Shape(rows: 1, columns: 7), Shape(rows: 20, columns: 13), Shape(rows: 70, columns: 90),
        Shape(rows: 120, columns: 80),
    ]

    /// Random, with singular values that fall slowly as 1/i.
    private func decaying(_ shape: Shape, seed: UInt64 = 1) -> Matrix {
        let inner = min(shape.rows, shape.columns)
        var left = Matrix.random(rows: shape.rows, columns: inner, seed: seed)
        let right = Matrix.random(rows: inner, columns: shape.columns, seed: seed + 1)
        left.withMutableSpan { span in
            for index in span.indices { span[index] /= Float(1 + index % inner) }
        }
        var product = Matrix()
        product.formProduct(left.slice, right.slice)
        return product
    }

    private func error(of lowRank: LowRank, _ matrix: Matrix) -> Double {
        let (left, right) = (Matrix(lowRank.left).doubleRows, Matrix(lowRank.right).doubleRows)
        let rows = matrix.doubleRows
        let squares = rows.indices.map { i in
            rows[i].indices.reduce(0.0) { sum, j in
                let difference = rows[i][j] - KernelReference.dot(left[i], right[j])
                return sum + difference * difference
            }
        }
        return squares.reduce(0, +).squareRoot()
    }

    /// The least error there is: the square root of the sum of the discarded eigenvalues of `MᵀM` (Eckart and Young 1936).
    private func leastError(_ matrix: Matrix, rank: Int) throws -> Double {
        let rows = matrix.doubleRows
        let order = matrix.columns
        let gram = (0..<order).flatMap { i in
            (0..<order).map { j in rows.reduce(0) { $0 + $1[i] * $1[j] } }
        }
        let values = try SymmetricEigen(of: gram, order: order).values
        return values.dropLast(min(rank, order)).reduce(0) { $0 + max($1, 0) }.squareRoot()
    }

    @Test("is within hundredths of the best there is, or thousandths after an iteration", arguments: shapes, [1, 3, 8])
    func nearlyOptimal(shape: Shape, rank: Int) throws {
        let matrix = decaying(shape)
        try expect(LowRank(approximating: matrix, rank: rank), of: matrix, rank, within: 0.03)
        try expect(LowRank(approximating: matrix, rank: rank, iterations: 1), of: matrix, rank, within: 0.001)
    }

    private func expect(_ lowRank: LowRank, of matrix: Matrix, _ rank: Int, within share: Double) throws {
        let shape = Shape(rows: matrix.rows, columns: matrix.columns)
        #expect(lowRank.rank == min(rank, shape.rows, shape.columns))
        #expect(lowRank.left.rows == shape.rows && lowRank.right.rows == shape.columns)
        let norm = matrix.squaredNorm.squareRoot()
        let least = try leastError(matrix, rank: rank)
        #expect(error(of: lowRank, matrix) < (1 + share) * least + 1e-6 * norm)
        if rank < min(shape.rows, shape.columns) { #expect(least > 0.01 * norm) }
    }

    @Test("is the matrix itself at full rank and above", arguments: shapes)
    func fullRank(shape: Shape) throws {
        let matrix = decaying(shape)
        for rank in [min(shape.rows, shape.columns), shape.rows + shape.columns] {
            let lowRank = try LowRank(approximating: matrix, rank: rank)
            #expect(lowRank.rank == min(shape.rows, shape.columns))
            #expect(error(of: lowRank, matrix) < 2e-6 * matrix.squaredNorm.squareRoot())
        }
    }

    @Test("finds a matrix of low rank again", arguments: shapes)
    func lowRankMatrix(shape: Shape) throws {
        var matrix = Matrix()
        matrix.formProduct(
            Matrix.random(rows: shape.rows, columns: 3, seed: 1).slice,
            Matrix.random(rows: 3, columns: shape.columns, seed: 2).slice)
        let lowRank = try LowRank(approximating: matrix, rank: 3)
        #expect(lowRank.rank == min(3, shape.rows, shape.columns))
        #expect(error(of: lowRank, matrix) < 5e-6 * matrix.squaredNorm.squareRoot())
    }

    @Test("is the same, bit for bit, each time", arguments: shapes)
    func determinism(shape: Shape) throws {
        let matrix = decaying(shape)
        let first = try LowRank(approximating: matrix, rank: 8)
        let second = try LowRank(
            approximating: Matrix(rows: shape.rows, columns: shape.columns, elements: matrix.elements), rank: 8)
        #expect(Matrix(first.left) == Matrix(second.left))
        #expect(Matrix(first.right) == Matrix(second.right))
    }

    @Test("of zeros is zero", arguments: shapes)
    func zeros(shape: Shape) throws {
        let zeros = Matrix(rows: shape.rows, columns: shape.columns)
        #expect(error(of: try LowRank(approximating: zeros, rank: 8), zeros) == 0)
    }

    @Test("refuses a matrix with a value that is not finite", arguments: shapes, [Float.nan, .infinity])
    func notFinite(shape: Shape, value: Float) {
        var matrix = decaying(shape)
        matrix[shape.rows - 1, 0] = value
        #expect(throws: EigenError.notFinite) { try LowRank(approximating: matrix, rank: 8) }
    }
}
