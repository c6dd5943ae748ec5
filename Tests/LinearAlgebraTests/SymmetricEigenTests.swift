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

    /// Orders on either side of where reflections begin to be applied in blocks, in Float32, of one block and of several.
    @Test(
        "of a covariance whose variances span many orders has eigenvectors that are orthonormal to Float32's rounding",
        arguments: [
            SymmetricEigenSolver.leastInBlocks - 1, SymmetricEigenSolver.leastInBlocks,
            SymmetricEigenSolver.leastInBlocks + 1, 385,
        ])
    func gradedCovariance(order: Int) throws {
        let samples = Matrix.random(rows: 2 * order, columns: order, seed: 3).doubleRows.map { row in
            row.enumerated().map { $1 / Double(1 + $0 * $0) }
        }
        let variables = (0..<order).map { column in samples.map { $0[column] } }
        let matrix = products(of: variables, variables)
        let eigen = try SymmetricEigen(of: matrix, order: order)
        let columns = eigen.vectors.transposed.doubleRows
        var identity = [Double](repeating: 0, count: order * order)
        for index in 0..<order { identity[index * order + index] = 1 }
        #expect(deviation(products(of: columns, columns), from: identity, relativeTo: 1) < 1e-6)
        let q = eigen.vectors.doubleRows
        let scaled = q.map { row in zip(row, eigen.values).map { $0 * $1 } }
        #expect(deviation(products(of: scaled, q), from: matrix) < 2e-7)
        // Eigenvalues are Float64's, down to the least.
        let trace = (0..<order).reduce(0) { $0 + matrix[$1 * order + $1] }
        #expect(abs(eigen.values.reduce(0, +) - trace) < 1e-13 * trace)
        #expect((eigen.values.first ?? 0) > 0)
    }

    @Test("is found again and again in one room, of whatever order, and in that of a larger matrix")
    func reuse() throws {
        var solver = SymmetricEigenSolver()
        for order in [300, 40, 1, 270, 300] {
            let matrix = symmetric(order: order, seed: UInt64(order))
            var given = matrix + [Double](repeating: .nan, count: 7)
            let found = try solver.decomposition(of: &given, order: order)
            let alone = try SymmetricEigen(of: matrix, order: order)
            #expect(found.values == alone.values && found.vectors == alone.vectors)
        }
    }

    @Test("is that of a multiple, however extreme", arguments: [1e-200, 1e200])
    func extremes(factor: Double) throws {
        let matrix = symmetric(order: 9, seed: 4)
        let ordinary = try SymmetricEigen(of: matrix, order: 9)
        let found = try SymmetricEigen(of: matrix.map { $0 * factor }, order: 9)
        #expect(deviation(found.values.map { $0 / factor }, from: ordinary.values) < 1e-13)
        #expect(deviation(found.vectors.doubles, from: ordinary.vectors.doubles) < 1e-6)
        let nothing = try SymmetricEigen(of: [0, 0, 0, 0], order: 2)
        #expect(nothing.values == [0, 0])
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
        func workCount(_ order: Int) -> Int { 1 + 4 * order + order * order }
        #expect(workCount(SymmetricEigenSolver.largestOrder) <= Int(Int32.max))
        #expect(workCount(SymmetricEigenSolver.largestOrder + 1) > Int(Int32.max))
        #expect(EigenError.tooLarge(order: 50_000, limit: 46_338).description.contains("50000 x 50000"))
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
