import CVectorKernels

/// How vectors of segments become bytes that are compared quickly: each segment as whole numbers and a scale.
///
/// A record is, one behind the other, the Float32 scale of each segment and an Int8 for each value, little-endian. Its
/// entries go from -127 to 127; those of a query, which are not kept, from -2,047 to 2,047, so that only the record's rounding
/// counts.
public struct SketchQuantization: Sendable, Equatable {
    public let segments: Int
    /// Values a segment.
    public let values: Int

    /// The most values of a segment whose products are sure to sum to an Int32.
    public static let valueLimit = 8_192

    private static let recordRange: Float = 127
    private static let queryRange: Float = 2_047

    /// - Precondition: At least one segment, of 1 to ``valueLimit`` values.
    public init(segments: Int, values: Int) {
        precondition(segments > 0 && values > 0 && values <= Self.valueLimit, "no such vectors can be compared")
        self.segments = segments
        self.values = values
    }

    public var recordBytes: Int { segments * (MemoryLayout<Float>.size + values) }

    /// A query, ready to be compared.
    public struct Query: Sendable {
        fileprivate let entries: [Int16]
        fileprivate let scales: [Float]
    }

    /// The bytes of a record.
    ///
    /// - Parameter vector: Segment after segment.
    public func record(of vector: Span<Float>) -> [UInt8] {
        let (entries, scales) = quantized(vector, range: Self.recordRange)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(recordBytes)
        for scale in scales {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: scale.bitPattern >> shift))
            }
        }
        for entry in entries { bytes.append(UInt8(bitPattern: Int8(truncatingIfNeeded: entry))) }
        return bytes
    }

    public func query(of vector: Span<Float>) -> Query {
        let (entries, scales) = quantized(vector, range: Self.queryRange)
        return Query(entries: entries, scales: scales)
    }

    /// The inner products of records with a query.
    ///
    /// - Parameters:
    ///   - records: Every record is preceded by as many bytes as `stride` exceeds ``recordBytes``.
    ///   - scores: One a record.
    public func scores(of records: RawSpan, stride: Int, with query: Query, into scores: inout [Float]) {
        let lead = stride - recordBytes
        precondition(
            lead >= 0 && query.scales.count == segments && query.entries.count == segments * values
                && records.byteCount % stride == 0, "shapes differ")
        let count = records.byteCount / stride
        scores.removeAll(keepingCapacity: true)
        scores.append(contentsOf: repeatElement(0, count: count))
        guard count > 0 else { return }
        records.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            tributary_sketch_scores(
                base.assumingMemoryBound(to: UInt8.self) + lead, stride, count, segments, values, query.entries,
                query.scales, &scores)
        }
    }

    private func quantized(_ vector: Span<Float>, range: Float) -> (entries: [Int16], scales: [Float]) {
        precondition(vector.count == segments * values, "shapes differ")
        var scales: [Float] = []
        let entries = vector.withUnsafeBufferPointer { vector in
            [Int16](unsafeUninitializedCapacity: vector.count) { entries, count in
                guard let source = vector.baseAddress, let target = entries.baseAddress else { return }
                for segment in 0..<segments {
                    let start = source + segment * values
                    let largest = tributary_largest_magnitude(start, values)
                    let isUsable =
                        largest >= .leastNormalMagnitude * range && tributary_all_finite(start, values) == 1
                    scales.append(isUsable ? largest / range : 0)
                    if isUsable {
                        tributary_quantize(start, range / largest, target + segment * values, values)
                    } else {
                        (target + segment * values).initialize(repeating: 0, count: values)
                    }
                }
                count = vector.count
            }
        }
        return (entries, scales)
    }
}
