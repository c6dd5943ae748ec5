import Foundation
import LinearAlgebra

/// Converts stored blocks to Float32 with the same operations as the format's reference: the results are equal bit for bit.
///
/// A block of 32 values is a scale `d` in half precision, in some types a minimum `m`, and the values' integers `q`:
///
///     Q8_0   d, q[32] of 8 bits, signed              d q
///     Q4_0   d, 16 bytes                             d (q - 8)
///     Q4_1   d, m, 16 bytes                          d q + m
///     Q5_0   d, 32 high bits, 16 bytes               d (q - 16)
///     Q5_1   d, m, 32 high bits, 16 bytes            d q + m
///
/// Sixteen bytes hold the first half of a block's integers in their low four bits, the second half in their high four bits.
/// (ggml-org/ggml, src/ggml-quants.c)
enum Dequantization {
    /// A matrix of stored values; nil if the type is not supported or the number of bytes does not match the shape.
    static func matrix(rows: Int, columns: Int, _ bytes: Data, _ type: GGUFTensorType) -> Matrix? {
        guard type.byteCount(shape: [rows, columns]) == bytes.count else { return nil }
        let format: NumberFormat? =
            switch type {
            case .float32: .float32
            case .float16: .float16
            case .bfloat16: .bfloat16
            default: nil
            }
        if let format { return Matrix(rows: rows, columns: columns, bytes: bytes, format: format) }
        guard let decode = decoder(of: type) else { return nil }
        var matrix = Matrix(rows: rows, columns: columns)
        let (_, valueCount, byteCount) = type.layout
        let stored = bytes.span
        matrix.withMutableSpan { values in
            for block in 0..<stored.count / byteCount {
                decode(stored.extracting(block * byteCount..<(block + 1) * byteCount), block * valueCount, &values)
            }
        }
        return matrix
    }

    /// Writes a block's values from index `start` on.
    typealias BlockDecoder = (_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) -> Void

    private static func decoder(of type: GGUFTensorType) -> BlockDecoder? {
        switch type {
        case .q80: q80
        case .q40: q40
        case .q41: q41
        case .q50: q50
        case .q51: q51
        case .q2K: q2K
        case .q3K: q3K
        case .q4K: q4K
        case .q5K: q5K
        case .q6K: q6K
        default: nil
        }
    }

    private static func q80(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 0)
        for index in 0..<32 { values[start + index] = Float(Int8(bitPattern: block[2 + index])) * scale }
    }

    private static func q40(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 0)
        for index in 0..<16 {
            let pair = Int(block[2 + index])
            values[start + index] = scale * Float(pair & 15 - 8)
            values[start + 16 + index] = scale * Float(pair >> 4 - 8)
        }
    }

    private static func q41(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 0)
        let minimum = block.half(at: 2)
        for index in 0..<16 {
            let pair = block[4 + index]
            values[start + index] = scale * Float(pair & 15) + minimum
            values[start + 16 + index] = scale * Float(pair >> 4) + minimum
        }
    }

    /// The five-bit integers of a block at `index` and 16 after it: four bits of each in a byte, the fifth elsewhere.
    private static func fives(_ block: Span<UInt8>, _ high: Int, _ index: Int) -> (Int, Int) {
        let pair = Int(block[high + 4 + index])
        let first = Int(block[high + index / 8] >> UInt8(index % 8)) & 1
        let second = Int(block[high + 2 + index / 8] >> UInt8(index % 8)) & 1
        return (pair & 15 | first << 4, pair >> 4 | second << 4)
    }

    private static func q50(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 0)
        for index in 0..<16 {
            let (first, second) = fives(block, 2, index)
            values[start + index] = scale * Float(first - 16)
            values[start + 16 + index] = scale * Float(second - 16)
        }
    }

    private static func q51(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 0)
        let minimum = block.half(at: 2)
        for index in 0..<16 {
            let (first, second) = fives(block, 4, index)
            values[start + index] = scale * Float(first) + minimum
            values[start + 16 + index] = scale * Float(second) + minimum
        }
    }
}

extension Span<UInt8> {
    /// A number in half precision, the low byte first.
    func half(at index: Int) -> Float {
        Float(Float16(bitPattern: UInt16(self[index]) | UInt16(self[index + 1]) << 8))
    }
}

/// Blocks of 256 values in groups of 16 or 32, which have their own scales and minima of few bits.
///
///     Q2_K   16 bytes: scale and minimum of 4 bits per group of 16; 64 bytes q; d, dmin     d s q - dmin m
///     Q3_K   32 bytes: third bits; 64 bytes q; 12 bytes: scales of 6 bits; d                d (s - 32) (q - 4 where unset)
///     Q4_K   d, dmin; 12 bytes: scale and minimum of 6 bits per group of 32; 128 bytes q    d s q - dmin m
///     Q5_K   d, dmin; 12 bytes as Q4_K; 32 bytes: fifth bits; 128 bytes q                   d s q - dmin m
///     Q6_K   128 bytes: low four bits; 64 bytes: high two; 16 signed scales; d              d s (q - 32)
extension Dequantization {
    static func q2K(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 80)
        let minimum = block.half(at: 82)
        for group in 0..<16 {
            let packed = block[group]
            let groupScale = scale * Float(packed & 15)
            let groupMinimum = minimum * Float(packed >> 4)
            // Four planes of two bits, with 32 values each, share 32 bytes. A plane has two groups.
            let first = 16 + group / 8 * 32 + group % 2 * 16
            let shift = UInt8(group % 8 / 2 * 2)
            for index in 0..<16 {
                let q = block[first + index] >> shift & 3
                values[start + group * 16 + index] = groupScale * Float(q) - groupMinimum
            }
        }
    }

    static func q3K(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 108)
        for group in 0..<16 {
            let low = block[96 + group % 8] >> UInt8(group / 8 * 4) & 15
            let high = block[104 + group % 4] >> UInt8(group / 4 * 2) & 3
            let groupScale = scale * Float(Int(low | high << 4) - 32)
            let half = group % 2 * 16
            let first = 32 + group / 8 * 32 + half
            let shift = UInt8(group % 8 / 2 * 2)
            for index in 0..<16 {
                let isThirdBitSet = block[half + index] >> UInt8(group / 2) & 1 == 1
                let q = Int(block[first + index] >> shift & 3) - (isThirdBitSet ? 0 : 4)
                values[start + group * 16 + index] = groupScale * Float(q)
            }
        }
    }

    /// Scale and minimum of a group, of six bits each: 12 bytes from the fifth on hold eight of both.
    private static func scales(_ block: Span<UInt8>, _ group: Int) -> (scale: Float, minimum: Float) {
        if group < 4 { return (Float(block[4 + group] & 63), Float(block[8 + group] & 63)) }
        let low = block[8 + group]
        return (
            Float(low & 15 | (block[group] >> 6) << 4), Float(low >> 4 | (block[4 + group] >> 6) << 4)
        )
    }

    static func q4K(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        groupsOf32(block, lows: 16, fifths: nil, start, &values)
    }

    static func q5K(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        groupsOf32(block, lows: 48, fifths: 16, start, &values)
    }

    /// - Parameters:
    ///   - lows: The index of the low four bits of each integer.
    ///   - fifths: The index of the fifth bits, if there are any.
    private static func groupsOf32(
        _ block: Span<UInt8>, lows: Int, fifths: Int?, _ start: Int, _ values: inout MutableSpan<Float>
    ) {
        let scale = block.half(at: 0)
        let minimum = block.half(at: 2)
        for group in 0..<8 {
            let own = scales(block, group)
            let groupScale = scale * own.scale
            let groupMinimum = minimum * own.minimum
            let shift = UInt8(group % 2 * 4)
            for index in 0..<32 {
                let fifth = if let fifths { block[fifths + index] >> UInt8(group) & 1 } else { UInt8(0) }
                let q = block[lows + group / 2 * 32 + index] >> shift & 15 | fifth << 4
                values[start + group * 32 + index] = groupScale * Float(q) - groupMinimum
            }
        }
    }

    static func q6K(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 208)
        for group in 0..<16 {
            let groupScale = scale * Float(Int8(bitPattern: block[192 + group]))
            // A half of 128 values: 64 bytes of low bits in two planes, 32 bytes of high bits in four.
            let half = group / 8
            let lane = group % 8 / 2
            let column = group % 2 * 16
            let low = half * 64 + lane % 2 * 32 + column
            let lowShift = UInt8(lane / 2 * 4)
            let high = 128 + half * 32 + column
            let highShift = UInt8(lane * 2)
            for index in 0..<16 {
                let q = block[low + index] >> lowShift & 15 | (block[high + index] >> highShift & 3) << 4
                values[start + group * 16 + index] = groupScale * Float(Int(q) - 32)
            }
        }
    }
}
