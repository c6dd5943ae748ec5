/// Blocks of 256 values in groups of 16 or 32, whose own scales and minima are integers of few bits.
///
///     Q2_K   16 bytes: scale and minimum of 4 bits a group of 16; 64 bytes q; d, dmin       d s q - dmin m
///     Q3_K   32 bytes: third bits; 64 bytes q; 12 bytes: scales of 6 bits; d                d (s - 32) (q - 4 where unset)
///     Q4_K   d, dmin; 12 bytes: scale and minimum of 6 bits a group of 32; 128 bytes q      d s q - dmin m
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
            // Four planes of two bits, 32 values each, share 32 bytes; a plane is two groups.
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
        let scale = block.half(at: 0)
        let minimum = block.half(at: 2)
        for group in 0..<8 {
            let own = scales(block, group)
            let groupScale = scale * own.scale
            let groupMinimum = minimum * own.minimum
            let shift = UInt8(group % 2 * 4)
            for index in 0..<32 {
                let q = block[16 + group / 2 * 32 + index] >> shift & 15
                values[start + group * 32 + index] = groupScale * Float(q) - groupMinimum
            }
        }
    }

    static func q5K(_ block: Span<UInt8>, _ start: Int, _ values: inout MutableSpan<Float>) {
        let scale = block.half(at: 0)
        let minimum = block.half(at: 2)
        for group in 0..<8 {
            let own = scales(block, group)
            let groupScale = scale * own.scale
            let groupMinimum = minimum * own.minimum
            let shift = UInt8(group % 2 * 4)
            for index in 0..<32 {
                let fifth = block[16 + index] >> UInt8(group) & 1
                let q = block[48 + group / 2 * 32 + index] >> shift & 15 | fifth << 4
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
