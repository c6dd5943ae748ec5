import CVectorKernels
import Files

/// Compresses vectors of segments to bits that are compared quickly: the sign of each entry, and one scale per segment.
///
/// A record is the Float32 scale of each segment, and then a bit for each entry, 1 for plus, the first entry in the lowest bit of the first
/// byte. Entries should be of similar size, as after a random rotation. For a segment `x` the scale is `|x|² / |x|₁`: the inner product of
/// a query with the signs, times this scale, equals that with `x` in expectation (as in RaBitQ, Gao and Long 2024). A query, which is not
/// kept, has four bits per entry: the error of that rounding is small compared with the error of a record's single bit.
public struct SignSketch: Sendable, Equatable {
    public let segments: Int
    /// Entries per segment.
    public let entries: Int

    private static let planes = Int(TRIBUTARY_SKETCH_PLANES)
    private var words: Int { entries / 64 }

    /// - Precondition: There is at least one segment, and a segment has a positive multiple of 64 entries.
    public init(segments: Int, entries: Int) {
        precondition(
            segments > 0 && entries > 0 && entries.isMultiple(of: 64), "\(segments) segments of \(entries) entries")
        self.segments = segments
        self.entries = entries
    }

    public var recordBytes: Int { segments * (MemoryLayout<Float>.size + entries / 8) }

    /// A query, ready to be compared.
    public struct Query: Sendable {
        fileprivate var planes: [UInt64] = []
        fileprivate var steps: [Float] = []
        fileprivate var sums: [Float] = []
    }

    /// The bytes of the record of a vector, which has the segments one after another.
    public func record(of vector: Span<Float>) -> [UInt8] {
        precondition(vector.count == segments * entries, "\(vector.count) values for \(segments) × \(entries)")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(recordBytes)
        for segment in 0..<segments {
            var squares = 0.0
            var magnitudes = 0.0
            for index in (segment * entries)..<((segment + 1) * entries) {
                squares += Double(vector[index]) * Double(vector[index])
                magnitudes += Double(abs(vector[index]))
            }
            let scale = Float(magnitudes > 0 ? squares / magnitudes : 0)
            bytes.append(littleEndian: (scale.isFinite ? scale : 0).bitPattern)
        }
        for start in stride(from: 0, to: vector.count, by: 8) {
            var byte: UInt8 = 0
            for bit in 0..<8 where vector[start + bit] > 0 { byte |= 1 << UInt8(bit) }
            bytes.append(byte)
        }
        return bytes
    }

    public func query(of vector: Span<Float>) -> Query {
        precondition(vector.count == segments * entries, "\(vector.count) values for \(segments) × \(entries)")
        var query = Query()
        query.planes = [UInt64](repeating: 0, count: segments * Self.planes * words)
        for segment in 0..<segments {
            let part = vector.extracting((segment * entries)..<((segment + 1) * entries))
            let step = Self.step(for: part)
            var sum = 0
            for index in part.indices {
                let level = step > 0 ? Int(Self.level(part[index], step: step)) : 0
                sum += level
                let bits = UInt64(truncatingIfNeeded: level)
                for plane in 0..<Self.planes where bits >> UInt64(plane) & 1 == 1 {
                    query.planes[(segment * Self.planes + plane) * words + index / 64] |= 1 << UInt64(index % 64)
                }
            }
            query.steps.append(step)
            query.sums.append(step * Float(sum))
        }
        return query
    }

    /// A query's levels are `-half..<half`.
    private static let half = 1 << (planes - 1)

    private static func level(_ value: Float, step: Float) -> Float {
        min(max((value / step).rounded(), Float(-half)), Float(half - 1))
    }

    /// The step, of several that are tried, whose levels have the least squared distance from the entries. Short steps cut off the largest
    /// entries. Zero if the entries are zero or not finite.
    private static func step(for entries: Span<Float>) -> Float {
        var largest: Float = 0
        for index in entries.indices {
            guard entries[index].isFinite else { return 0 }
            largest = max(largest, abs(entries[index]))
        }
        guard largest > .leastNormalMagnitude * 100 else { return 0 }
        var best: (step: Float, error: Float) = (0, .infinity)
        for tenths in 4...10 {
            let step = largest * Float(tenths) / Float(10 * (half - 1))
            var error: Float = 0
            for index in entries.indices {
                // In units of the largest entry, so that squares stay finite.
                let difference = (entries[index] - step * level(entries[index], step: step)) / largest
                error += difference * difference
            }
            if error < best.error { best = (step, error) }
        }
        return best.step
    }

    /// The inner products of records with a query.
    ///
    /// - Parameters:
    ///   - records: Each record follows `stride` - ``recordBytes`` other bytes.
    ///   - scores: Becomes one score per record.
    public func scores(of records: RawSpan, stride: Int, with query: Query, into scores: inout [Float]) {
        let lead = stride - recordBytes
        precondition(
            lead >= 0 && query.steps.count == segments && query.planes.count == segments * Self.planes * words
                && records.byteCount % stride == 0, "shapes differ")
        let count = records.byteCount / stride
        scores.removeAll(keepingCapacity: true)
        scores.append(contentsOf: repeatElement(0, count: count))
        guard count > 0 else { return }
        records.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            tributary_sketch_scores(
                base.assumingMemoryBound(to: UInt8.self) + lead, stride, count, segments, words, query.planes,
                query.steps, query.sums, &scores)
        }
    }
}

extension MutableSpan<Float> {
    /// Replaces the values by their Walsh-Hadamard transform, scaled so that lengths and inner products do not change.
    ///
    /// - Precondition: The count is a power of two.
    mutating func rotateByHadamard() {
        precondition(count.nonzeroBitCount == 1, "\(count) values, which is not a power of two")
        withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            tributary_walsh_hadamard(base, buffer.count)
        }
        let scale = 1 / Float(count).squareRoot()
        for index in indices { self[index] *= scale }
    }
}
