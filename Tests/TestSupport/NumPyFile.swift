import Foundation

/// A NumPy array file (.npy) of int32 or float32 in C order.
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
        let isFloat = header.contains("<f4")
        let base = data.startIndex
        values = (0..<(data.count / 4)).map { index in
            let word = (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[base + 4 * index + $1]) << UInt32(8 * $1) }
            return isFloat ? Double(Float(bitPattern: word)) : Double(Int32(bitPattern: word))
        }
    }

    /// The rows of a two-dimensional array.
    public var rows: [[Double]] {
        stride(from: 0, to: values.count, by: shape[1]).map { Array(values[$0..<($0 + shape[1])]) }
    }
}
