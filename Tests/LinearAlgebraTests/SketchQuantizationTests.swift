import Testing

@testable import LinearAlgebra

@Suite("Quantised sketches")
struct SketchQuantizationTests {
    /// Records of random vectors, one behind the other, each with some bytes in front.
    private func bytes(of vectors: Matrix, _ quantization: SketchQuantization, lead: Int) -> [UInt8] {
        (0..<vectors.rows).flatMap { row in
            [UInt8](repeating: 0xAB, count: lead)
                + Matrix(vectors[rows: row..<(row + 1)]).withSpan { quantization.record(of: $0) }
        }
    }

    @Test(
        "give the inner products of their vectors, within what rounding to bytes costs",
        arguments: [(1, 1), (3, 5), (2, 31), (2, 32), (4, 208), (1, 8_192)])
    func products(segments: Int, values: Int) {
        let quantization = SketchQuantization(segments: segments, values: values)
        let vectors = Matrix.random(rows: 7, columns: segments * values, seed: 1)
        let query = Matrix.random(rows: 1, columns: segments * values, seed: 2)
        let records = bytes(of: vectors, quantization, lead: 4)
        #expect(records.count == 7 * (4 + quantization.recordBytes))
        var scores: [Float] = [9]
        quantization.scores(
            of: records.span.bytes, stride: 4 + quantization.recordBytes,
            with: query.withSpan { quantization.query(of: $0) }, into: &scores)
        #expect(scores.count == 7)
        for row in 0..<7 {
            var exact = 0.0
            var bound = 1e-6
            for segment in 0..<segments {
                let columns = (segment * values)..<((segment + 1) * values)
                exact += columns.reduce(0) { $0 + Double(vectors[row, $1]) * Double(query[0, $1]) }
                // Each entry is off by at most half a step of its scale.
                let (x, q) = (columns.map { abs(vectors[row, $0]) }, columns.map { abs(query[0, $0]) })
                let (stepX, stepQ) = ((x.max() ?? 0) / 254, (q.max() ?? 0) / 4_094)
                bound += Double(stepX * q.reduce(0, +) + stepQ * x.reduce(0, +) + Float(values) * stepX * stepQ)
            }
            #expect(abs(Double(scores[row]) - exact) <= bound * 1.001)
        }
    }

    @Test("keep the largest products that a segment can have")
    func extremes() {
        let quantization = SketchQuantization(segments: 1, values: SketchQuantization.valueLimit)
        let ones = Matrix(rows: 1, columns: 8_192, elements: [Float](repeating: 1, count: 8_192))
        let record = ones.withSpan { quantization.record(of: $0) }
        var scores: [Float] = []
        quantization.scores(
            of: record.span.bytes, stride: record.count, with: ones.withSpan { quantization.query(of: $0) },
            into: &scores)
        #expect(abs(scores[0] - 8_192) < 0.01)
    }

    @Test(
        "are zero where a vector is zero, too small to be told from it, or not finite",
        arguments: [Float(0), .leastNonzeroMagnitude, .nan, .infinity, -.infinity])
    func degenerate(value: Float) {
        let quantization = SketchQuantization(segments: 2, values: 3)
        let vector = Matrix(rows: 1, columns: 6, elements: [0, value, 0, 1, -2, 0.5])
        let record = vector.withSpan { quantization.record(of: $0) }
        let query = Matrix(rows: 1, columns: 6, elements: [1, 1, 1, 2, 1, 2])
        var scores: [Float] = []
        quantization.scores(
            of: record.span.bytes, stride: record.count, with: query.withSpan { quantization.query(of: $0) },
            into: &scores)
        #expect(abs(scores[0] - 1) < 0.05)
        #expect(Array(record[8..<11]) == [0, 0, 0])
    }

    @Test("have no scores where there are no records")
    func none() {
        let quantization = SketchQuantization(segments: 1, values: 4)
        let query = Matrix(rows: 1, columns: 4, elements: [1, 2, 3, 4])
        var scores: [Float] = [1, 2]
        quantization.scores(
            of: [UInt8]().span.bytes, stride: quantization.recordBytes,
            with: query.withSpan { quantization.query(of: $0) }, into: &scores)
        #expect(scores.isEmpty)
    }
}
