import LinearAlgebra
import Testing

@Suite("A product with a factor of bfloat16")
struct HalfProductTests {
    struct Shape: CustomTestStringConvertible {
        let rows, inner, columns: Int
        var testDescription: String { "\(rows) x \(inner) x \(columns)" }
    }

    private static let shapes = [
        Shape(rows: 1, inner: 1, columns: 1), Shape(rows: 1, inner: 7, columns: 3),
        Shape(rows: 5, inner: 1, columns: 4),
        Shape(rows: 3, inner: 33, columns: 1), Shape(rows: 17, inner: 64, columns: 31),
        Shape(rows: 130, inner: 192, columns: 513),
    ]

    /// What a matrix is once its values are rounded to bfloat16.
    private func rounded(_ matrix: Matrix) -> Matrix { HalfMatrix(matrix).singles }

    private func product(_ left: Matrix, _ right: Matrix) -> Matrix {
        var product = Matrix()
        product.formProduct(left.slice, right.slice)
        return product
    }

    private func expectEqual(_ found: Matrix, _ expected: Matrix) {
        #expect(found.rows == expected.rows && found.columns == expected.columns)
        #expect(deviation(found.doubles, from: expected.doubles) < 2e-6)
    }

    @Test("is that of the rounded values", arguments: shapes)
    func rounding(shape: Shape) {
        let left = Matrix.random(rows: shape.rows, columns: shape.inner, seed: 1)
        let right = Matrix.random(rows: shape.inner, columns: shape.columns, seed: 2)
        var found = Matrix()
        found.formProduct(left.slice, .half(HalfMatrix(right).slice))
        expectEqual(found, product(rounded(left), rounded(right)))
    }

    @Test("reads the factor transposed", arguments: shapes)
    func transposition(shape: Shape) {
        let left = Matrix.random(rows: shape.rows, columns: shape.inner, seed: 1)
        let right = Matrix.random(rows: shape.columns, columns: shape.inner, seed: 2)
        var found = Matrix()
        found.formProduct(left.slice, .half(HalfMatrix(right).transposed))
        expectEqual(found, product(rounded(left), rounded(right).transposedCopy()))
    }

    @Test("reads some rows of it", arguments: [false, true])
    func rows(isTransposed: Bool) {
        let right = Matrix.random(rows: 40, columns: 24, seed: 2)
        let part = HalfMatrix(right)[rows: 3..<35][rows: 2..<30]
        let left = Matrix.random(rows: 6, columns: isTransposed ? 24 : 28, seed: 1)
        var found = Matrix()
        found.formProduct(left.slice, .half(isTransposed ? part.transposed : part))
        let expected = Matrix(rounded(right)[rows: 5..<33])
        expectEqual(found, product(rounded(left), isTransposed ? expected.transposedCopy() : expected))
    }

    @Test("gives single rows of it", arguments: [false, true])
    func gatheredRows(isHalf: Bool) {
        let matrix = rounded(.random(rows: 9, columns: 5, seed: 1))
        let factor: Factor = isHalf ? .half(HalfMatrix(matrix).slice) : .single(matrix.slice)
        var found = Matrix()
        found.gatherRows([2, 0, 2], of: factor[rows: 4..<9])
        var expected = Matrix()
        expected.gatherRows([6, 4, 6], of: matrix)
        #expect(found == expected)
    }

    @Test("reads some columns of it, and some of the other", arguments: [false, true])
    func parts(isTransposed: Bool) {
        let left = Matrix.random(rows: 6, columns: 40, seed: 1)
        let right = Matrix.random(rows: 9, columns: 20, seed: 2)
        let columns = HalfMatrix(right)[columns: 3..<12]
        var found = Matrix()
        found.formProduct(left[columns: 5..<14], .half(isTransposed ? columns.transposed : columns))
        let expectedRight = Matrix(rounded(right)[columns: 3..<12])
        expectEqual(
            found,
            product(
                rounded(Matrix(left[columns: 5..<14])), isTransposed ? expectedRight.transposedCopy() : expectedRight))
    }

    @Test("is written into a block, or added there, and nowhere else", arguments: [false, true])
    func blocks(adding: Bool) {
        let left = Matrix.random(rows: 4, columns: 8, seed: 1)
        let right = Matrix.random(rows: 8, columns: 5, seed: 2)
        let before = Matrix.random(rows: 7, columns: 9, seed: 3)
        var found = before
        found.setBlock(row: 2, column: 3, toProduct: left.slice, .half(HalfMatrix(right).slice), adding: adding)
        var expected = before
        expected.setBlock(row: 2, column: 3, toProduct: rounded(left).slice, rounded(right).slice, adding: adding)
        expectEqual(found, expected)
        #expect(found[1, 3] == before[1, 3] && found[2, 2] == before[2, 2] && found[6, 8] == before[6, 8])
    }

    @Test("of nothing is nothing")
    func emptiness() {
        var found = Matrix()
        found.formProduct(Matrix(rows: 0, columns: 4).slice, .half(HalfMatrix(Matrix(rows: 4, columns: 3)).slice))
        #expect(found.rows == 0 && found.columns == 3)
        found.formProduct(Matrix(rows: 2, columns: 0).slice, .half(HalfMatrix(Matrix(rows: 0, columns: 3)).slice))
        #expect(found == Matrix(rows: 2, columns: 3))
    }

    @Test("carries what is not a number, and infinity")
    func notFinite() {
        let left = Matrix(rows: 1, columns: 2, elements: [.nan, 1])
        let right = Matrix(rows: 2, columns: 1, elements: [1, .infinity])
        var found = Matrix()
        found.formProduct(left.slice, .half(HalfMatrix(right).slice))
        #expect(found[0, 0].isNaN)
    }

    @Test("is the same on every thread")
    func threads() throws {
        let left = Matrix.random(rows: 65, columns: 48, seed: 1)
        let right = HalfMatrix(.random(rows: 48, columns: 33, seed: 2))
        let products = try Workers(count: 4).map(0..<16) { _, _ -> Matrix in
            var found = Matrix()
            found.formProduct(left.slice, .half(right.slice))
            return found
        }
        #expect(products.allSatisfy { $0 == products[0] })
    }
}

@Suite("A matrix of bfloat16")
struct HalfMatrixTests {
    @Test("rounds to the nearest, ties to even")
    func rounding() {
        let step = Float(1.0 / 128)
        let values: [Float] = [1, 1 + step / 4, 1 + step / 2, 1 + step * 3 / 4, 1 + step, 1 + step * 3 / 2, -3, 0]
        let expected: [Float] = [1, 1, 1, 1 + step, 1 + step, 1 + 2 * step, -3, 0]
        #expect(HalfMatrix(Matrix(rows: 2, columns: 4, elements: values)).singles.elements == expected)
    }

    @Test("takes half the memory")
    func memory() {
        #expect(HalfMatrix(Matrix(rows: 3, columns: 5)).byteCount == 30)
    }
}
