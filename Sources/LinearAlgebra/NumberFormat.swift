import CVectorKernels
import Foundation

/// A little-endian format in which files store floating-point values.
public enum NumberFormat: String, Sendable, CaseIterable, Codable {
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"

    public var bytesPerValue: Int { self == .float32 ? 4 : 2 }
}

extension Matrix {
    /// A matrix of values stored in a file, row after row.
    ///
    /// - Returns: `nil` if the number of bytes does not match the shape.
    public init?(rows: Int, columns: Int, bytes: Data, format: NumberFormat) {
        guard rows >= 0, columns >= 0, bytes.count == rows * columns * format.bytesPerValue else { return nil }
        self.init(unspecifiedRows: rows, columns: columns)
        let destination = uniquePointer()
        let count = rows * columns
        if format == .float32 {
            bytes.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(start: destination, count: bytes.count).copyMemory(from: $0)
            }
            return
        }
        // A file can have halves at an odd address: copy them to an even one first.
        var halves = [UInt16](repeating: 0, count: count)
        halves.withUnsafeMutableBytes { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
        switch format {
        case .float32: break
        case .float16: tributary_from_float16(halves, destination, count)
        case .bfloat16: tributary_from_bfloat16(halves, destination, count)
        }
    }

    /// The values as a file stores them, row after row.
    public func bytes(as format: NumberFormat) -> Data {
        if format == .float32 { return Data(bytes: pointer, count: byteCount) }
        var halves = [UInt16](repeating: 0, count: count)
        if format == .float16 {
            tributary_to_float16(pointer, &halves, count)
        } else {
            tributary_to_bfloat16(pointer, &halves, count)
        }
        return halves.withUnsafeBytes { Data($0) }
    }
}
