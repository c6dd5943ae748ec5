import Foundation

/// A NumPy array file (.npy) of int32, float32 or float64 in C order.
public struct NumPyFile {
    public let shape: [Int]
    public let values: [Double]

    public init(path: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let headerLength = Int(bytes[8]) | Int(bytes[9]) << 8
        let header = String(decoding: bytes[10..<(10 + headerLength)], as: UTF8.self)
        let data = bytes[(10 + headerLength)...]
        let shapeText = header.split(separator: "(")[1].split(separator: ")")[0]
        shape = shapeText.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
        let size = header.contains("<f8") ? 8 : 4
        let isFloat = header.contains("<f4")
        let base = data.startIndex
        values = (0..<(data.count / size)).map { index in
            let word = (0..<size).reduce(UInt64(0)) { $0 | UInt64(data[base + size * index + $1]) << UInt64(8 * $1) }
            if size == 8 { return Double(bitPattern: word) }
            let half = UInt32(truncatingIfNeeded: word)
            return isFloat ? Double(Float(bitPattern: half)) : Double(Int32(bitPattern: half))
        }
    }

    /// The rows of a two-dimensional array.
    public var rows: [[Double]] {
        stride(from: 0, to: values.count, by: shape[1]).map { Array(values[$0..<($0 + shape[1])]) }
    }
}
