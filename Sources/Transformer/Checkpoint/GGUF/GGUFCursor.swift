import Files
import Foundation
import Tokenizer

/// Reads the head of a GGUF file from its start, never past its end.
struct GGUFCursor {
    /// Arrays in arrays are walked by recursion: this many levels, and no more.
    static let depthLimit = 8
    static let keyLengthLimit = 65_535
    /// Strings and arrays are walked one by one: no more of them in an array than a tokenizer has ids.
    static let elementLimit = Tokenizer.identifierLimit - 1

    let bytes: Data
    let file: String
    private(set) var position = 0

    init(bytes: Data, file: String) {
        self.bytes = bytes
        self.file = file
    }

    func problem(_ text: String) -> GGUFError { .malformed(file: file, byte: position, problem: text) }

    mutating func advance(_ count: Int, in part: String) throws {
        guard count >= 0, count <= bytes.count - position else {
            throw GGUFError.truncated(file: file, byte: bytes.count, part: part)
        }
        position += count
    }

    mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type, in part: String
    ) throws -> Integer {
        let start = position
        try advance(MemoryLayout<Integer>.size, in: part)
        return bytes.bytes.littleEndian(type, at: start)
    }

    /// A length or number of things, none of which takes less than `unit` bytes.
    private mutating func count(unit: Int, in part: String) throws -> Int {
        let stored = try integer(UInt64.self, in: part)
        guard stored <= UInt64((bytes.count - position) / unit) else {
            throw GGUFError.truncated(file: file, byte: bytes.count, part: part)
        }
        return Int(stored)
    }

    mutating func string(in part: String) throws -> String {
        let length = try count(unit: 1, in: part)
        let start = position
        try advance(length, in: part)
        guard let string = String(validating: bytes[start..<position], as: UTF8.self) else {
            position = start
            throw problem("expected valid UTF-8 in \(part)")
        }
        return string
    }

    /// A key of the metadata, or a tensor's name.
    mutating func name(in part: String) throws -> String {
        let start = position
        let name = try string(in: part)
        guard !name.isEmpty, name.utf8.count <= Self.keyLengthLimit else {
            position = start
            throw problem("expected a name of 1 to \(Self.keyLengthLimit) bytes in \(part)")
        }
        return name
    }

    mutating func value(in part: String, depth: Int = 0) throws -> GGUFValue {
        try value(of: valueType(in: part), in: part, depth: depth)
    }

    private mutating func valueType(in part: String) throws -> GGUFValueType {
        let start = position
        let code = try integer(UInt32.self, in: part)
        guard let type = GGUFValueType(rawValue: code) else {
            position = start
            throw problem("\(part) is of the type \(code), which the format does not know")
        }
        return type
    }

    private mutating func value(of type: GGUFValueType, in part: String, depth: Int) throws -> GGUFValue {
        switch type {
        case .uint8: .unsigned(UInt64(try integer(UInt8.self, in: part)))
        case .uint16: .unsigned(UInt64(try integer(UInt16.self, in: part)))
        case .uint32: .unsigned(UInt64(try integer(UInt32.self, in: part)))
        case .uint64: .unsigned(try integer(UInt64.self, in: part))
        case .int8: .signed(Int64(try integer(Int8.self, in: part)))
        case .int16: .signed(Int64(try integer(Int16.self, in: part)))
        case .int32: .signed(Int64(try integer(Int32.self, in: part)))
        case .int64: .signed(try integer(Int64.self, in: part))
        case .float32: .number(Double(Float(bitPattern: try integer(UInt32.self, in: part))))
        case .float64: .number(Double(bitPattern: try integer(UInt64.self, in: part)))
        case .boolean: .boolean(try boolean(in: part))
        case .string: .string(try string(in: part))
        case .array: .array(try array(in: part, depth: depth + 1))
        }
    }

    private mutating func boolean(in part: String) throws -> Bool {
        let byte = try integer(UInt8.self, in: part)
        guard byte <= 1 else {
            position -= 1
            throw problem("\(part) is \(byte); expected 0 or 1")
        }
        return byte == 1
    }

    /// Walks over an array, which is checked to lie in the file; its elements are decoded when they are asked for.
    private mutating func array(in part: String, depth: Int) throws -> GGUFArray {
        guard depth <= Self.depthLimit else {
            throw problem("\(part) has arrays in arrays, \(depth) deep; supported are \(Self.depthLimit)")
        }
        let type = try valueType(in: part)
        let count = try count(unit: type.leastByteCount, in: part)
        if type == .string || type == .array, count > Self.elementLimit {
            throw GGUFError.tooMany(part: part, file: file, count: UInt64(count), limit: Self.elementLimit)
        }
        let start = position
        switch type {
        case .string:
            for _ in 0..<count { try advance(self.count(unit: 1, in: part), in: part) }
        case .array:
            for _ in 0..<count { _ = try array(in: part, depth: depth + 1) }
        default:
            try advance(count * type.leastByteCount, in: part)
        }
        return GGUFArray(elementType: type, count: count, bytes: bytes[start..<position])
    }
}
