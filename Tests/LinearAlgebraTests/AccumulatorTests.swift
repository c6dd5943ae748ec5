import LinearAlgebra
import Testing

@Suite("A sum of Gram matrices")
struct SymmetricAccumulatorTests {
    /// The rounding of one micro-batch in Float32.
    private static let tolerance = 2e-6

    private func sum(of matrix: Matrix, inBatchesOf size: Int, reversed: Bool = false) -> SymmetricAccumulator {
        var gram = Matrix()
        var accumulator = SymmetricAccumulator(order: matrix.columns)
        let starts = Array(stride(from: 0, to: matrix.rows, by: size))
        for start in reversed ? starts.reversed() : starts {
            accumulator.addGram(of: matrix[rows: start..<min(start + size, matrix.rows)], through: &gram)
        }
        return accumulator
    }

    private func naiveGram(_ matrix: Matrix) -> [Double] {
        let rows = matrix.doubleRows
        return (0..<matrix.columns).flatMap { i in
            (0..<matrix.columns).map { j in rows.reduce(0) { $0 + $1[i] * $1[j] } }
        }
    }

    @Test("is that of Float64, however the rows are cut into batches and ordered", arguments: [1, 7, 33])
    func batches(order: Int) {
        let matrix = Matrix.random(rows: 200, columns: order, seed: 1)
        let expected = naiveGram(matrix).map { $0 / 200 }
        for size in [1, 7, 32, 200] {
            for reversed in [false, true] {
                let mean = sum(of: matrix, inBatchesOf: size, reversed: reversed).means(over: 200)[0]
                #expect(deviation(mean, from: expected) < Self.tolerance)
            }
        }
    }

    @Test("takes parts of wider matrices, and nothing from a batch without rows")
    func parts() {
        let wide = Matrix.random(rows: 20, columns: 12, seed: 1)
        var gram = Matrix()
        var accumulator = SymmetricAccumulator(order: 7)
        accumulator.addGram(of: wide[rows: 3..<18, columns: 2..<9], through: &gram)
        accumulator.addGram(of: wide[rows: 0..<0, columns: 2..<9], through: &gram)
        let expected = naiveGram(Matrix(wide[rows: 3..<18, columns: 2..<9]))
        #expect(deviation(accumulator.means(over: 1)[0], from: expected) < Self.tolerance)
    }

    @Test("of a great many batches is as good as of one")
    func manyBatches() {
        // A running Float32 sum would stand still at 2^24 times the addend and lose four digits long before.
        let batch = Matrix(rows: 1, columns: 2, elements: [0.1, 1])
        var gram = Matrix()
        var accumulator = SymmetricAccumulator(order: 2)
        for _ in 0..<200_000 { accumulator.addGram(of: batch.slice, through: &gram) }
        let tenth = Double(Float(0.1))
        let expected = [tenth * tenth, tenth, tenth, 1]
        #expect(deviation(accumulator.means(over: 200_000)[0], from: expected) < 1e-7)
    }

    @Test("merges with another as if both were one")
    func merging() {
        let matrix = Matrix.random(rows: 64, columns: 7, seed: 1)
        var first = sum(of: Matrix(matrix[rows: 0..<32]), inBatchesOf: 32)
        first.merge(sum(of: Matrix(matrix[rows: 32..<64]), inBatchesOf: 32))
        #expect(first.upperTriangle == sum(of: matrix, inBatchesOf: 32).upperTriangle)
    }

    @Test("goes on from its upper triangle as if never interrupted")
    func roundTrip() throws {
        let matrix = Matrix.random(rows: 64, columns: 7, seed: 1)
        let before = sum(of: Matrix(matrix[rows: 0..<32]), inBatchesOf: 32)
        #expect(before.upperTriangle.count == 28)
        var gram = Matrix()
        var after = try #require(SymmetricAccumulator(blocks: [0..<7], upperTriangle: before.upperTriangle))
        #expect(after.upperTriangle == before.upperTriangle)
        after.addGram(of: matrix[rows: 32..<64], through: &gram)
        #expect(after.means(over: 3)[0] == sum(of: matrix, inBatchesOf: 32).means(over: 3)[0])
        #expect(SymmetricAccumulator(blocks: [0..<7], upperTriangle: [Double](repeating: 0, count: 49)) == nil)
        #expect(SymmetricAccumulator(blocks: [0..<7], upperTriangle: []) == nil)
    }

    @Test("of blocks on the diagonal has those of the whole")
    func blocks() {
        let matrix = Matrix.random(rows: 50, columns: 9, seed: 1)
        let whole = naiveGram(matrix)
        var gram = Matrix()
        var accumulator = SymmetricAccumulator(blocks: [0..<4, 4..<9])
        accumulator.addGram(of: matrix.slice, through: &gram)
        #expect(accumulator.order == 9 && accumulator.upperTriangle.count == 10 + 15)
        for (found, block) in zip(accumulator.means(over: 1), accumulator.blocks) {
            let expected = block.flatMap { row in block.map { whole[row * 9 + $0] } }
            #expect(deviation(found, from: expected) < Self.tolerance)
        }
        #expect(SymmetricAccumulator(blocks: [0..<4, 4..<9], upperTriangle: accumulator.upperTriangle) != nil)
        #expect(SymmetricAccumulator(blocks: [0..<9], upperTriangle: accumulator.upperTriangle) == nil)
    }

    @Test("has a mean that is symmetric to the bit")
    func symmetry() {
        let mean = sum(of: .random(rows: 50, columns: 9, seed: 1), inBatchesOf: 11).means(over: 7)[0]
        for row in 0..<9 {
            for column in 0..<9 { #expect(mean[row * 9 + column] == mean[column * 9 + row]) }
        }
    }

    @Test("does not change when a copy of it is added to")
    func copies() {
        let batch = Matrix.random(rows: 5, columns: 3, seed: 1)
        var gram = Matrix()
        var original = SymmetricAccumulator(order: 3)
        original.addGram(of: batch.slice, through: &gram)
        let before = original.upperTriangle
        var copy = original
        copy.addGram(of: batch.slice, through: &gram)
        #expect(original.upperTriangle == before)
        #expect(copy.upperTriangle == before.map { 2 * $0 })
    }
}

@Suite("A sum of squares")
struct SquareAccumulatorTests {
    private let matrices = (0..<60).map { Matrix.random(rows: 3, columns: 11, seed: UInt64($0)) }

    private func sum(of matrices: [Matrix], inBatchesOf size: Int) -> SquareAccumulator {
        var accumulator = SquareAccumulator(rows: 3, columns: 11)
        for start in stride(from: 0, to: matrices.count, by: size) {
            var squares = Matrix(rows: 3, columns: 11)
            for matrix in matrices[start..<min(start + size, matrices.count)] { squares.addSquares(of: matrix) }
            accumulator.add(squares)
        }
        return accumulator
    }

    @Test("is that of Float64, however they are cut into batches and ordered", arguments: [1, 7, 60])
    func batches(size: Int) {
        let expected = (0..<33).map { index in
            matrices.reduce(0) { $0 + $1.doubles[index] * $1.doubles[index] }
        }
        #expect(deviation(sum(of: matrices, inBatchesOf: size).values, from: expected) < 1e-6)
        #expect(deviation(sum(of: matrices.reversed(), inBatchesOf: size).values, from: expected) < 1e-6)
    }

    @Test("of a great many matrices is as good as of one")
    func manyMatrices() {
        let matrix = Matrix(rows: 3, columns: 11, elements: [Float](repeating: 0.1, count: 33))
        var accumulator = SquareAccumulator(rows: 3, columns: 11)
        var squares = Matrix(rows: 3, columns: 11)
        squares.addSquares(of: matrix)
        for _ in 0..<100_000 { accumulator.add(squares) }
        let square = Double(Float(0.1)) * Double(Float(0.1))
        #expect(deviation(accumulator.mean(over: 100_000).doubles, from: [Double](repeating: square, count: 33)) < 1e-7)
    }

    @Test("merges with another, and goes on from its values, as if never interrupted")
    func mergingAndRoundTrip() throws {
        let whole = sum(of: matrices, inBatchesOf: 30)
        var merged = sum(of: Array(matrices[..<30]), inBatchesOf: 30)
        let half = merged.values
        merged.merge(sum(of: Array(matrices[30...]), inBatchesOf: 30))
        #expect(merged.values == whole.values)
        var resumed = try #require(SquareAccumulator(rows: 3, columns: 11, values: half))
        #expect(resumed.values == half)
        var squares = Matrix(rows: 3, columns: 11)
        for matrix in matrices[30...] { squares.addSquares(of: matrix) }
        resumed.add(squares)
        #expect(resumed.values == whole.values)
        #expect(SquareAccumulator(rows: 3, columns: 11, values: [0]) == nil)
    }

    @Test("may be taken some rows at a time")
    func rowBlocks() {
        var whole = Matrix(rows: 3, columns: 11)
        var parts = Matrix(rows: 3, columns: 11)
        for matrix in matrices {
            whole.addSquares(of: matrix)
            for row in 0..<3 { parts.addSquares(of: Matrix(matrix[rows: row..<(row + 1)]), fromRow: row) }
        }
        #expect(parts == whole)
    }

    @Test("has a mean of its own shape")
    func mean() {
        let mean = sum(of: matrices, inBatchesOf: 7).mean(over: 60)
        #expect(mean.rows == 3 && mean.columns == 11)
        let expected = matrices.reduce(0) { $0 + Double($1[2, 3]) * Double($1[2, 3]) } / 60
        #expect(abs(Double(mean[2, 3]) - expected) < 1e-6 * expected)
    }
}

extension SymmetricAccumulator {
    fileprivate func means(over count: Double) -> [[Double]] {
        blocks.indices.map { block in
            var mean: [Double] = []
            formMean(ofBlock: block, over: count, into: &mean)
            return mean
        }
    }
}
