import Foundation
import LinearAlgebra
import Testing

@Suite("Number formats")
struct NumberFormatTests {
    private static let allPatterns = Array(UInt16.min...UInt16.max)

    private func decode(_ patterns: [UInt16], _ format: NumberFormat) throws -> [Float] {
        let bytes = Data(patterns.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] })
        return try #require(Matrix(rows: 1, columns: patterns.count, bytes: bytes, format: format)).elements
    }

    private func encode(_ values: [Float], _ format: NumberFormat) -> [UInt16] {
        let bytes = [UInt8](Matrix(rows: 1, columns: values.count, elements: values).bytes(as: format))
        return values.indices.map { index -> UInt16 in
            let (low, high) = (UInt16(bytes[2 * index]), UInt16(bytes[2 * index + 1]))
            return high << 8 | low
        }
    }

    private func twin(_ format: NumberFormat) -> (UInt16) -> Double {
        if format == .float16 { return KernelReference.float16 }
        return KernelReference.bfloat16
    }

    @Test("decode every pattern to the value of its fields", arguments: [NumberFormat.float16, .bfloat16])
    func decoding(format: NumberFormat) throws {
        let values = try decode(Self.allPatterns, format)
        let twin = twin(format)
        let wrong = zip(Self.allPatterns, values).filter { pattern, value in
            let expected = twin(pattern)
            return expected.isNaN
                ? !value.isNaN : Double(value) != expected || (value.sign == .minus) != (pattern >> 15 == 1)
        }
        #expect(wrong.isEmpty)
    }

    @Test("give every pattern back, and NaN as NaN of the same sign", arguments: [NumberFormat.float16, .bfloat16])
    func roundTrip(format: NumberFormat) throws {
        let values = try decode(Self.allPatterns, format)
        let patterns = encode(values, format)
        let twin = twin(format)
        let wrong = Self.allPatterns.filter { pattern in
            let found = patterns[Int(pattern)]
            guard twin(pattern).isNaN else { return found != pattern }
            return !twin(found).isNaN || found >> 15 != pattern >> 15
        }
        #expect(wrong.isEmpty)
    }

    @Test("round to the nearest, and halfway to the even pattern", arguments: [NumberFormat.float16, .bfloat16])
    func rounding(format: NumberFormat) throws {
        let twin = twin(format)
        // From zero through subnormals to the largest finite value and, above it, infinity.
        let lower = (0..<UInt16(0x8000)).filter { twin($0).isFinite }
        let halfway = lower.map { pattern in
            let step =
                twin(pattern + 1).isFinite ? twin(pattern + 1) - twin(pattern) : twin(pattern) - twin(pattern - 1)
            return Float(twin(pattern) + step / 2)
        }
        for sign in [1, -1] as [Float] {
            let bit: UInt16 = sign < 0 ? 0x8000 : 0
            #expect(encode(halfway.map { sign * $0 }, format) == lower.map { ($0 + $0 & 1) | bit })
            #expect(encode(halfway.map { sign * $0.nextDown }, format) == lower.map { $0 | bit })
            #expect(encode(halfway.map { sign * $0.nextUp }, format) == lower.map { ($0 + 1) | bit })
        }
    }

    @Test("hold chosen values as the standard has them")
    func chosenValues() {
        let values: [Float] = [
            1, -2, 65_504, 65_519, 65_520, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, -0.0, .infinity, 1e30,
        ]
        #expect(
            encode(values, .float16)
                == [
                    0x3C00, 0xC000, 0x7BFF, 0x7BFF, 0x7C00, 0x0400, 0x0001, 0x0000, 0x0001, 0x8000, 0x7C00, 0x7C00,
                ])
        let brain: [Float] = [
            1, -2, 1.00390625, 1.01171875, .greatestFiniteMagnitude, -.infinity, .leastNonzeroMagnitude,
        ]
        #expect(encode(brain, .bfloat16) == [0x3F80, 0xC000, 0x3F80, 0x3F82, 0x7F80, 0xFF80, 0x0000])
    }

    @Test("keep Float32 as it is, wherever the bytes lie", arguments: NumberFormat.allCases)
    func unalignedBytes(format: NumberFormat) throws {
        let matrix = Matrix(rows: 2, columns: 3, elements: [1, -2, 0.5, 0, 8, -0.25])
        let bytes = matrix.bytes(as: format)
        #expect(bytes.count == 6 * format.bytesPerValue)
        let shifted = (Data([0]) + bytes)[1...]
        #expect(Matrix(rows: 2, columns: 3, bytes: shifted, format: format) == matrix)
        #expect(Matrix(rows: 2, columns: 3, bytes: bytes, format: format) == matrix)
    }

    @Test("refuse bytes that do not make the shape", arguments: NumberFormat.allCases)
    func wrongCount(format: NumberFormat) {
        let bytes = Matrix(rows: 2, columns: 3).bytes(as: format)
        #expect(Matrix(rows: 3, columns: 3, bytes: bytes, format: format) == nil)
        #expect(Matrix(rows: 2, columns: 3, bytes: bytes.dropLast(), format: format) == nil)
        #expect(Matrix(rows: -2, columns: -3, bytes: bytes, format: format) == nil)
        #expect(Matrix(rows: 0, columns: 3, bytes: Data(), format: format)?.rows == 0)
    }
}
