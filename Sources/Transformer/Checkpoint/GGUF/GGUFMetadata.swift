import Files
import Foundation
import Tokenizer

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

    /// The bytes of a value; for a string or an array, those of an empty one.
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

    /// The value for messages.
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

/// An array of the metadata, whose elements are decoded on request.
public struct GGUFArray: Sendable, Equatable {
    public let elementType: GGUFValueType
    public let count: Int
    /// The stored elements, which were checked to be complete when the file was opened.
    let bytes: Data

    /// The elements; nil if they are not strings of valid UTF-8.
    public var strings: [String]? {
        guard elementType == .string else { return nil }
        var cursor = GGUFCursor(bytes: Data(bytes), file: "")
        return try? (0..<count).map { _ in try cursor.string(in: "") }
    }

    /// The elements; nil if they are not integers, or one overflows.
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

    /// The elements; nil if they are not floating-point numbers.
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

/// Typed reading of the metadata. A key that is absent gives nil; a value of another type throws
/// ``GGUFError/wrongValue(key:file:expected:found:)``.
extension GGUFFile {
    public func string(_ key: String) throws -> String? {
        try value(key, "a string") { if case .string(let text) = $0 { text } else { nil } }
    }

    public func boolean(_ key: String) throws -> Bool? {
        try value(key, "true or false") { if case .boolean(let boolean) = $0 { boolean } else { nil } }
    }

    public func integer(_ key: String) throws -> Int? { try value(key, "an integer", \.integer) }
    public func number(_ key: String) throws -> Double? { try value(key, "a finite number", \.finiteNumber) }
    public func strings(_ key: String) throws -> [String]? {
        try value(key, "an array of strings") { if case .array(let array) = $0 { array.strings } else { nil } }
    }

    public func integers(_ key: String) throws -> [Int]? {
        try value(key, "an array of integers") { if case .array(let array) = $0 { array.integers } else { nil } }
    }

    public func numbers(_ key: String) throws -> [Double]? {
        try value(key, "an array of numbers") { if case .array(let array) = $0 { array.numbers } else { nil } }
    }

    /// Refuses an array with a different number of elements before they are read.
    private func requireCount(_ count: Int, of key: String) throws {
        guard case .array(let array)? = metadata[key], array.count != count else { return }
        throw GGUFError.wrongValue(
            key: key, file: fileName, expected: "\(count) values, one per token", found: "\(array.count)")
    }

    private func value<Value>(_ key: String, _ expected: String, _ read: (GGUFValue) -> Value?) throws -> Value? {
        guard let stored = metadata[key] else { return nil }
        guard let value = read(stored) else {
            throw GGUFError.wrongValue(key: key, file: fileName, expected: expected, found: stored.shown)
        }
        return value
    }
}

extension GGUFFile {
    /// The metadata of the file's tokenizer.
    ///
    /// - Throws: ``GGUFError/missingKey(key:file:)`` if there is none, and
    ///   ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func tokenizerMetadata() throws -> GGUFTokenizerMetadata {
        func key(_ name: String) -> String { "tokenizer.ggml." + name }
        guard let model = try string(key("model")) else {
            throw GGUFError.missingKey(key: key("model"), file: fileName)
        }
        guard let tokens = try strings(key("tokens")) else {
            throw GGUFError.missingKey(key: key("tokens"), file: fileName)
        }
        for name in ["scores", "token_type"] { try requireCount(tokens.count, of: key(name)) }
        var tokenizer = GGUFTokenizerMetadata(model: model, tokens: tokens)
        tokenizer.preTokenizer = try string(key("pre"))
        tokenizer.scores = try numbers(key("scores")).map { $0.map(Float.init) }
        tokenizer.tokenTypes = try integers(key("token_type")).map { $0.map { Int32(clamping: $0) } }
        tokenizer.merges = try strings(key("merges"))
        tokenizer.bosToken = try integer(key("bos_token_id"))
        tokenizer.eosToken = try integer(key("eos_token_id"))
        tokenizer.unknownToken = try integer(key("unknown_token_id"))
        tokenizer.addsBos = try boolean(key("add_bos_token"))
        tokenizer.addsEos = try boolean(key("add_eos_token"))
        tokenizer.addsSpacePrefix = try boolean(key("add_space_prefix"))
        tokenizer.removesExtraWhitespace = try boolean(key("remove_extra_whitespaces"))
        tokenizer.chatTemplates = chatTemplates
        return tokenizer
    }

    /// The chat templates; a value that is not a string is none.
    private var chatTemplates: [GGUFTokenizerMetadata.NamedChatTemplate] {
        let key = "tokenizer.chat_template"
        let named = metadata.keys.filter { $0.hasPrefix(key + ".") }.sorted()
        return ([key] + named).compactMap { name in
            guard case .string(let source)? = metadata[name] else { return nil }
            return .init(name: name == key ? "default" : String(name.dropFirst(key.count + 1)), source: source)
        }
    }
}

/// Reads the head of a GGUF file from its start, never past its end.
struct GGUFCursor {
    /// The most levels of nested arrays, which are read by recursion.
    static let depthLimit = 8
    static let keyLengthLimit = 65_535
    /// The most strings or arrays in an array, which are read one by one: as many as a tokenizer can have ids.
    static let elementLimit = Tokenizer.identifierLimit - 1

    let bytes: Data
    let file: String
    private(set) var position = 0

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

    /// A length, or a number of elements of at least `unit` bytes.
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

    /// Skips an array after checking that it lies in the file; its elements are decoded on request.
    private mutating func array(in part: String, depth: Int) throws -> GGUFArray {
        guard depth <= Self.depthLimit else {
            throw problem("\(part) has arrays in arrays, \(depth) deep; at most \(Self.depthLimit) are supported")
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
