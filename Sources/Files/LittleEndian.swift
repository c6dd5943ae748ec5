import Foundation

/// Reads little-endian numbers, one after another.
public struct LittleEndianReader: Sendable {
    private let data: Data
    /// The offset of the next number from the start of the data.
    public private(set) var position: Int

    public init(_ data: Data, at position: Int = 0) {
        self.data = data
        self.position = position
    }

    /// The next number; nil if it would end past the data's end.
    public mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> Number? {
        guard position >= 0, position <= data.count - MemoryLayout<Number>.size else { return nil }
        defer { position += MemoryLayout<Number>.size }
        return data.bytes.littleEndian(type, at: position)
    }

    /// The next Float64; nil if it would end past the data's end.
    public mutating func double() -> Double? { number(UInt64.self).map(Double.init(bitPattern:)) }

    /// Skips some bytes.
    public mutating func skip(_ count: Int) { position += count }
}

extension RawSpan {
    /// The little-endian number that begins at an offset, aligned or not.
    ///
    /// - Precondition: All of the number is within the span.
    @inlinable
    public func littleEndian<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type, at offset: Int) -> Number
    {
        Number(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension Data {
    /// The little-endian numbers in the data, one after another. Bytes at the end that do not make up a whole number are ignored.
    @inlinable
    public func littleEndianNumbers<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> [Number] {
        let bytes = bytes
        let size = MemoryLayout<Number>.size
        return (0..<(count / size)).map { bytes.littleEndian(type, at: $0 * size) }
    }
}

extension Collection where Element: FixedWidthInteger {
    /// Each number's bytes in turn, the least significant first.
    @inlinable
    public var littleEndianBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count * MemoryLayout<Element>.size)
        for number in self { bytes.append(littleEndian: number) }
        return bytes
    }
}

extension [UInt8] {
    /// Appends the number's bytes, the least significant first.
    @inlinable
    public mutating func append(littleEndian number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}
