import Foundation

/// The types of metadata, by the numbers that stand for them in a file.
public enum GGUFValueType: UInt32, Sendable {
    case uint8 = 0
    case int8 = 1
    case uint16 = 2
    case int16 = 3
    case uint32 = 4
    case int32 = 5
    case float32 = 6
    case boolean = 7
    case string = 8
    case array = 9
    case uint64 = 10
    case int64 = 11
    case float64 = 12

    /// The bytes that a value takes; of a string or an array, those that an empty one takes.
    var leastByteCount: Int {
        switch self {
        case .uint8, .int8, .boolean: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64, .string: 8
        case .array: 12
        }
    }
}

/// A value of the metadata.
public enum GGUFValue: Sendable, Equatable {
    case unsigned(UInt64)
    case signed(Int64)
    case number(Double)
    case boolean(Bool)
    case string(String)
    case array(GGUFArray)

    /// The value of any integer type, if it fits.
    public var integer: Int? {
        switch self {
        case .unsigned(let value): Int(exactly: value)
        case .signed(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The value of any number, if it is finite.
    public var finiteNumber: Double? {
        switch self {
        case .unsigned(let value): Double(value)
        case .signed(let value): Double(value)
        case .number(let value): value.isFinite ? value : nil
        default: nil
        }
    }

    /// The value as messages give it.
    var shown: String {
        switch self {
        case .unsigned(let value): "\(value)"
        case .signed(let value): "\(value)"
        case .number(let value): "\(value)"
        case .boolean(let value): "\(value)"
        case .string(let text): SafetensorsError.quoted(text)
        case .array(let array): "an array of \(array.count) values"
        }
    }
}

/// An array of the metadata, which stays in its file until its elements are asked for.
public struct GGUFArray: Sendable, Equatable {
    public let elementType: GGUFValueType
    public let count: Int
    /// The elements as they are stored; they were checked to be whole when the file was opened.
    let bytes: Data

    /// The elements, or `nil` if they are not strings of valid UTF-8.
    public var strings: [String]? {
        guard elementType == .string else { return nil }
        var cursor = GGUFCursor(bytes: Data(bytes), file: "")
        return try? (0..<count).map { _ in try cursor.string(in: "") }
    }

    /// The elements, or `nil` if they are not integers that fit.
    public var integers: [Int]? {
        var cursor = GGUFCursor(bytes: Data(bytes), file: "")
        func read<Stored: FixedWidthInteger & BitwiseCopyable>(_ type: Stored.Type) -> [Int]? {
            try? (0..<count).map { _ in
                guard let value = Int(exactly: try cursor.integer(type, in: "")) else { throw cursor.problem("") }
                return value
            }
        }
        return switch elementType {
        case .uint8: read(UInt8.self)
        case .int8: read(Int8.self)
        case .uint16: read(UInt16.self)
        case .int16: read(Int16.self)
        case .uint32: read(UInt32.self)
        case .int32: read(Int32.self)
        case .uint64: read(UInt64.self)
        case .int64: read(Int64.self)
        default: nil
        }
    }

    /// The elements, or `nil` if they are not floating-point numbers.
    public var numbers: [Double]? {
        var cursor = GGUFCursor(bytes: Data(bytes), file: "")
        return switch elementType {
        case .float32:
            try? (0..<count).map { _ in Double(Float(bitPattern: try cursor.integer(UInt32.self, in: ""))) }
        case .float64: try? (0..<count).map { _ in Double(bitPattern: try cursor.integer(UInt64.self, in: "")) }
        default: nil
        }
    }
}
