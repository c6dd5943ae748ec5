import Testing

@testable import LinearAlgebra

@Suite("A symmetric eigendecomposition")
struct SymmetricEigenTests {
    private func symmetric(order: Int, seed: UInt64) -> [Double] {
        let random = Matrix.random(rows: order, columns: order, seed: seed).doubleRows
        return (0..<order).flatMap { i -> [Double] in (0..<order).map { j -> Double in random[i][j] + random[j][i] } }
    }

    /// The dot product of every row of the left with every row of the right.
    private func products(of left: [[Double]], _ right: [[Double]]) -> [Double] {
        left.flatMap { row in right.map { KernelReference.dot(row, $0) } }
    }

    @Test(
        "gives the matrix back, its eigenvectors orthonormal and its eigenvalues ascending",
        arguments: [1, 2, 7, 33, 100])
    func reconstruction(order: Int) throws {
        let matrix = symmetric(order: order, seed: 1)
        let eigen = try SymmetricEigen(of: matrix, order: order)
        let q = eigen.vectors.doubleRows
        #expect(zip(eigen.values, eigen.values.dropFirst()).allSatisfy { $0 <= $1 })
        let scaled = q.map { row in zip(row, eigen.values).map { $0 * $1 } }
        #expect(deviation(products(of: scaled, q), from: matrix) < 1e-5)
        let columns = eigen.vectors.transposed.doubleRows
        var identity = [Double](repeating: 0, count: order * order)
        for index in 0..<order { identity[index * order + index] = 1 }
        #expect(deviation(products(of: columns, columns), from: identity) < 1e-6)
        let trace = (0..<order).reduce(0) { $0 + matrix[$1 * order + $1] }
        #expect(abs(eigen.values.reduce(0, +) - trace) < 1e-10 * Double(order))
    }

    @Test("finds what is known")
    func known() throws {
        let eigen = try SymmetricEigen(of: [2, 1, 1, 2], order: 2)
        #expect(deviation(eigen.values, from: [1, 3]) < 1e-14)
        #expect(abs(abs(eigen.vectors[0, 1]) - Float(0.5).squareRoot()) < 1e-6)
        #expect(eigen.vectors[0, 1] * eigen.vectors[1, 1] > 0)
        #expect(eigen.vectors[0, 0] * eigen.vectors[1, 0] < 0)
    }

    @Test("keeps eigenvalues that Float32 could not tell apart")
    func precision() throws {
        let values = try SymmetricEigen(of: [1, 0, 0, 1 + 1e-12], order: 2).values
        #expect(values[1] - values[0] > 0.9e-12)
    }

    @Test("of nothing is nothing")
    func empty() throws {
        let eigen = try SymmetricEigen(of: [], order: 0)
        #expect(eigen.values.isEmpty)
        #expect(eigen.vectors.count == 0)
    }

    @Test("has as many rows as LAPACK can be given working space for, and not one more")
    func largestOrder() {
        func workCount(_ order: Int) -> Int { 1 + 6 * order + 2 * order * order }
        #expect(workCount(SymmetricEigen.largestOrder) <= Int(Int32.max))
        #expect(workCount(SymmetricEigen.largestOrder + 1) > Int(Int32.max))
        #expect(EigenError.tooLarge(order: 40_000, limit: 32_766).description.contains("40000 x 40000"))
    }

    @Test("refuses a matrix with a value that is not finite", arguments: [Double.nan, .infinity, -.infinity])
    func notFinite(value: Double) {
        for place in 0..<9 {
            var matrix = symmetric(order: 3, seed: 2)
            matrix[place] = value
            #expect(throws: EigenError.notFinite) { try SymmetricEigen(of: matrix, order: 3) }
        }
        #expect(EigenError.notFinite.description.contains("not finite"))
    }
}
