import LinearAlgebra
import Testing

@Suite("Matrix products")
struct ProductTests {
    /// Rows of the left factor, the dimension summed over, columns of the right factor.
    struct Shape: Sendable, CustomTestStringConvertible {
        let m: Int
        let k: Int
        let n: Int
        var testDescription: String { "\(m) x \(k) x \(n)" }
    }

    static let shapes = [
        Shape(m: 1, k: 1, n: 1), Shape(m: 7, k: 1, n: 31), Shape(m: 1, k: 576, n: 7), Shape(m: 31, k: 33, n: 32),
        Shape(m: 33, k: 7, n: 1), Shape(m: 64, k: 65, n: 63),
    ]

    /// Some share of a Float32 rounding for each term.
    private static let tolerance = 1e-5

    /// A part of a larger matrix, so that its rows are further apart than its columns are many.
    private func factor(rows: Int, columns: Int, isTransposed: Bool, seed: UInt64) -> MatrixSlice {
        let stored = isTransposed ? (rows: columns, columns: rows) : (rows: rows, columns: columns)
        let matrix = Matrix.random(rows: stored.rows + 3, columns: stored.columns + 5, seed: seed)
        let part = matrix[rows: 2..<(2 + stored.rows), columns: 3..<(3 + stored.columns)]
        return isTransposed ? part.transposed : part
    }

    /// The definition, in Double.
    private func naiveProduct(_ left: MatrixSlice, _ right: MatrixSlice, scale: Double = 1) -> [[Double]] {
        let (a, b) = (left.doubleRows, right.doubleRows)
        return (0..<left.rows).map { i in
            (0..<right.columns).map { j in scale * (0..<left.columns).reduce(0) { $0 + a[i][$1] * b[$1][j] } }
        }
    }

    @Test("equal the definition for parts of matrices, transposed or not", arguments: shapes)
    func transpositions(shape: Shape) {
        for (isLeftTransposed, isRightTransposed) in [(false, false), (false, true), (true, false), (true, true)] {
            let left = factor(rows: shape.m, columns: shape.k, isTransposed: isLeftTransposed, seed: 1)
            let right = factor(rows: shape.k, columns: shape.n, isTransposed: isRightTransposed, seed: 2)
            let expected = naiveProduct(left, right, scale: -0.5)
            let scale = max(1, Double(shape.k).squareRoot())

            // Whatever was in the memory before, even what is no number, does not count.
            var formed = Matrix()
            formed.resize(rows: 80, columns: 80, filledWith: .nan)
            formed.formProduct(left, right, scale: -0.5)
            #expect(deviation(formed, from: expected, relativeTo: scale) < Self.tolerance)

            var added = formed
            added.addProduct(left, right, scale: 3)
            let sum = expected.map { $0.map { $0 - 6 * $0 } }
            #expect(deviation(added, from: sum, relativeTo: 5 * scale) < Self.tolerance)
        }
    }

    /// Such as layers have, of numbers of rows that are made up of blocks of all sizes, or of one that is not full.
    static let layerShapes = [
        Shape(m: 16, k: 16, n: 16), Shape(m: 17, k: 33, n: 24), Shape(m: 63, k: 16, n: 72),
        Shape(m: 331, k: 65, n: 48),
        Shape(m: 512, k: 24, n: 16),
    ]

    @Test("equal the definition for the shapes of layers and any number of tokens", arguments: layerShapes)
    func layers(shape: Shape) {
        for (isLeftTransposed, isRightTransposed) in [(false, false), (false, true), (true, false), (true, true)] {
            let left = factor(rows: shape.m, columns: shape.k, isTransposed: isLeftTransposed, seed: 1)
            let right = factor(rows: shape.k, columns: shape.n, isTransposed: isRightTransposed, seed: 2)
            let expected = naiveProduct(left, right)
            let scale = max(1, Double(shape.k).squareRoot())
            var product = Matrix()
            product.resize(rows: shape.m, columns: shape.n, filledWith: .nan)
            product.formProduct(left, right)
            #expect(deviation(product, from: expected, relativeTo: scale) < Self.tolerance)
            product.addProduct(left, right)
            let twice = expected.map { $0.map { 2 * $0 } }
            #expect(deviation(product, from: twice, relativeTo: scale) < 2 * Self.tolerance)
        }
    }

    @Test("fill or add to one block, and leave the rest alone", arguments: shapes + layerShapes)
    func blocks(shape: Shape) {
        let left = factor(rows: shape.m, columns: shape.k, isTransposed: false, seed: 1)
        let right = factor(rows: shape.k, columns: shape.n, isTransposed: true, seed: 2)
        let product = naiveProduct(left, right)
        for isAdding in [false, true] {
            let before = Matrix.random(rows: shape.m + 4, columns: shape.n + 6, seed: 3)
            var target = before
            target.setBlock(row: 3, column: 2, toProduct: left, right, adding: isAdding)
            var expected = before.doubleRows
            for i in 0..<shape.m {
                for j in 0..<shape.n {
                    expected[3 + i][2 + j] = product[i][j] + (isAdding ? before.doubleRows[3 + i][2 + j] : 0)
                }
            }
            #expect(
                deviation(target, from: expected, relativeTo: max(1, Double(shape.k).squareRoot())) < Self.tolerance)
            #expect(Matrix(target[rows: 0..<3]) == Matrix(before[rows: 0..<3]))
            #expect(Matrix(target[columns: 0..<2]) == Matrix(before[columns: 0..<2]))
            #expect(
                Matrix(target[columns: (2 + shape.n)..<(6 + shape.n)])
                    == Matrix(before[columns: (2 + shape.n)..<(6 + shape.n)]))
        }
    }

    @Test("over no terms are zero, and add nothing")
    func noTerms() {
        var product = Matrix()
        product.resize(rows: 3, columns: 2, filledWith: .nan)
        product.formProduct(Matrix(rows: 3, columns: 0).slice, Matrix(rows: 0, columns: 2).slice)
        #expect(product == Matrix(rows: 3, columns: 2))
        let before = Matrix.random(rows: 3, columns: 2, seed: 1)
        product = before
        product.addProduct(Matrix(rows: 0, columns: 3).transposed, Matrix(rows: 2, columns: 0).transposed)
        #expect(product == before)
    }

    @Test("without rows or columns are empty")
    func empty() {
        var product = Matrix()
        product.formProduct(Matrix(rows: 0, columns: 4).slice, Matrix(rows: 4, columns: 3).slice)
        #expect(product.rows == 0 && product.columns == 3)
        product.formProduct(Matrix(rows: 2, columns: 4).slice, Matrix(rows: 0, columns: 4).transposed)
        #expect(product.rows == 2 && product.columns == 0)
    }

    @Test("may be written over one of their factors")
    func aliasing() {
        let square = Matrix.random(rows: 9, columns: 9, seed: 1)
        let expected = naiveProduct(square.slice, square.transposed)
        var formed = square
        formed.formProduct(formed.slice, formed.transposed)
        #expect(deviation(formed, from: expected) < Self.tolerance)
        var added = square
        added.addProduct(added.slice, added.transposed)
        let sum = zip(expected, square.doubleRows).map { zip($0, $1).map { $0 + $1 } }
        #expect(deviation(added, from: sum) < Self.tolerance)
        #expect(square == .random(rows: 9, columns: 9, seed: 1))
    }
}
