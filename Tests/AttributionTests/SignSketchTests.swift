import LinearAlgebra
import Testing

@testable import Attribution

@Suite("Sketches of signs")
struct SignSketchTests {
    private func record(_ vector: Matrix, _ sketch: SignSketch) -> [UInt8] { vector.withSpan { sketch.record(of: $0) } }

    private func scores(_ records: [UInt8], stride: Int, _ query: Matrix, _ sketch: SignSketch) -> [Float] {
        var scores: [Float] = [9]
        sketch.scores(
            of: records.span.bytes, stride: stride, with: query.withSpan { sketch.query(of: $0) }, into: &scores)
        return scores
    }

    @Test(
        "give the inner products of a query with signs times scales, within what four bits of the query cost",
        arguments: [(1, 64), (3, 128), (18, 1_728), (2, 8_192)])
    func products(segments: Int, entries: Int) {
        let sketch = SignSketch(segments: segments, entries: entries)
        let vectors = Matrix.random(rows: 5, columns: segments * entries, seed: 1)
        let query = Matrix.random(rows: 1, columns: segments * entries, seed: 2)
        let records = (0..<5).flatMap { row in
            [UInt8](repeating: 0xAB, count: 4) + record(Matrix(vectors[rows: row..<(row + 1)]), sketch)
        }
        let stride = 4 + sketch.recordBytes
        #expect(records.count == 5 * stride && sketch.recordBytes == segments * (4 + entries / 8))
        let found = scores(records, stride: stride, query, sketch)
        #expect(found.count == 5)
        for row in 0..<5 {
            var exact = 0.0
            var variance = 0.0
            for segment in 0..<segments {
                let columns = (segment * entries)..<((segment + 1) * entries)
                let x = columns.map { Double(vectors[row, $0]) }
                let q = columns.map { Double(query[0, $0]) }
                let scale = x.reduce(0) { $0 + $1 * $1 } / x.reduce(0) { $0 + abs($1) }
                exact += scale * zip(x, q).reduce(0) { $0 + ($1.0 > 0 ? $1.1 : -$1.1) }
                // Rounding moves each entry by a random amount below this step.
                let step = (q.map(abs).max() ?? 0) / 7
                variance += scale * scale * step * step * Double(entries) / 12
            }
            #expect(abs(Double(found[row]) - exact) <= 5 * variance.squareRoot() + 1e-4)
        }
    }

    @Test("estimate inner products without bias")
    func unbiased() {
        let sketch = SignSketch(segments: 1, entries: 4_096)
        let vectors = Matrix.random(rows: 60, columns: 4_096, seed: 3)
        let query = Matrix.random(rows: 1, columns: 4_096, seed: 4)
        // Each vector contains a fraction of the query.
        var exact: [Double] = []
        var found: [Double] = []
        for row in 0..<60 {
            var vector = Matrix(vectors[rows: row..<(row + 1)])
            for column in 0..<4_096 { vector[0, column] += Float(row - 30) / 40 * query[0, column] }
            exact.append((0..<4_096).reduce(0) { $0 + Double(vector[0, $1]) * Double(query[0, $1]) })
            found.append(Double(scores(record(vector, sketch), stride: sketch.recordBytes, query, sketch)[0]))
        }
        let slope = zip(exact, found).reduce(0) { $0 + $1.0 * $1.1 } / exact.reduce(0) { $0 + $1 * $1 }
        #expect(abs(slope - 1) < 0.03)
    }

    @Test(
        "are zero where a segment of the vector or the query is zero or not finite",
        arguments: [Float(0), .nan, .infinity])
    func degenerate(value: Float) {
        let sketch = SignSketch(segments: 2, entries: 64)
        var vector = Matrix(rows: 1, columns: 128, elements: [Float](repeating: 1, count: 128))
        for column in 0..<64 { vector[0, column] = value }
        let ones = Matrix(rows: 1, columns: 128, elements: [Float](repeating: 1, count: 128))
        let found = scores(record(vector, sketch), stride: sketch.recordBytes, ones, sketch)
        #expect(abs(found[0] - 64) < 2)
        let asked = scores(record(ones, sketch), stride: sketch.recordBytes, vector, sketch)
        #expect(abs(asked[0] - 64) < 2)
    }

    @Test("have no scores where there are no records")
    func none() {
        let sketch = SignSketch(segments: 1, entries: 64)
        let query = Matrix.random(rows: 1, columns: 64, seed: 1)
        #expect(scores([], stride: sketch.recordBytes, query, sketch).isEmpty)
    }

    @Test("are of vectors that a Walsh-Hadamard transform has mixed", arguments: [1, 2, 8, 64, 1_024])
    func hadamard(count: Int) {
        let x = Matrix.random(rows: 1, columns: count, seed: 7)
        var rotated = x
        rotated.withMutableSpan { $0.rotateByHadamard() }
        for row in stride(from: 0, to: count, by: max(1, count / 16)) {
            let expected = (0..<count).reduce(0.0) { sum, column in
                sum + ((row & column).nonzeroBitCount.isMultiple(of: 2) ? 1 : -1) * Double(x[0, column])
            }
            #expect(abs(Double(rotated[0, row]) - expected / Double(count).squareRoot()) < 1e-4)
        }
        rotated.withMutableSpan { $0.rotateByHadamard() }
        let largest = (0..<count).map { abs(x[0, $0]) }.max() ?? 0
        for column in 0..<count { #expect(abs(rotated[0, column] - x[0, column]) < 1e-5 * largest) }
    }
}

extension Matrix {
    /// Standard normal values; the same for the same seed.
    fileprivate static func random(rows: Int, columns: Int, seed: UInt64) -> Matrix {
        var generator = SplitMix64(seed: seed)
        return Matrix(
            rows: rows, columns: columns, elements: (0..<(rows * columns)).map { _ in generator.nextNormal() })
    }
}
