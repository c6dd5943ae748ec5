import Foundation

/// The table of contents at the start of a safetensors file.
///
///     8 bytes   N, the length of the header, an unsigned little-endian integer
///     N bytes   JSON that starts with "{" and may end in spaces:
///               {"__metadata__": {KEY: STRING, ...},
///                NAME: {"dtype": "F32", "shape": [ROWS, COLUMNS], "data_offsets": [BEGIN, END]}, ...}
///     remainder the tensors' values, row after row, little-endian; offsets count from here,
///               and together the tensors cover every byte once
struct SafetensorsHeader: Equatable {
    static let lengthBytes = 8
    /// The format's limit on a header, which keeps a forged one from exhausting memory.
    static let maximumLength = 100_000_000
    /// The most integers in a list: far more than any tensor has dimensions.
    static let maximumIntegers = 64
    static let metadataKey = "__metadata__"

    var metadata: [String: String] = [:]
    var tensors: [String: SafetensorsTensor] = [:]

    /// Reads the JSON of a header; ``checkCoverage(dataBytes:headerBytes:file:)`` checks that it fits its file.
    ///
    /// The grammar is small enough to be read without recursion, so that no nesting can exhaust the stack. Numbers are exact integers,
    /// and a key that occurs twice is refused.
    ///
    /// - Throws: ``SafetensorsError/malformedHeader(file:byte:problem:)`` and
    ///   ``SafetensorsError/invalidTensor(tensor:file:problem:)``.
    init(json: [UInt8], file: String) throws {
        var scanner = SafetensorsHeaderScanner(bytes: json, file: file)
        guard json.first == UInt8(ascii: "{") else { throw scanner.problem("expected \"{\"") }
        var hasMetadata = false
        try scanner.scanObject { scanner, name in
            if name == Self.metadataKey {
                guard !hasMetadata else { throw scanner.problem("\"__metadata__\" occurs twice") }
                hasMetadata = true
                metadata = try Self.scanMetadata(&scanner)
            } else {
                guard tensors[name] == nil else {
                    throw scanner.problem("tensor \(SafetensorsError.quoted(name)) occurs twice")
                }
                tensors[name] = try Self.scanTensor(named: name, &scanner)
            }
        }
        try scanner.expectEnd()
    }

    private static func scanMetadata(_ scanner: inout SafetensorsHeaderScanner) throws -> [String: String] {
        var metadata: [String: String] = [:]
        try scanner.scanObject { scanner, key in
            guard metadata[key] == nil else {
                throw scanner.problem("metadata \(SafetensorsError.quoted(key)) occurs twice")
            }
            metadata[key] = try scanner.scanString()
        }
        return metadata
    }

    private static func scanTensor(
        named name: String, _ scanner: inout SafetensorsHeaderScanner
    ) throws -> SafetensorsTensor {
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        try scanner.scanObject { scanner, key in
            switch key {
            case "dtype" where typeName == nil: typeName = try scanner.scanString()
            case "shape" where shape == nil: shape = try scanner.scanIntegers(atMost: maximumIntegers)
            case "data_offsets" where offsets == nil: offsets = try scanner.scanIntegers(atMost: maximumIntegers)
            case "dtype", "shape", "data_offsets": throw scanner.problem("\"\(key)\" occurs twice")
            default:
                throw scanner.problem(
                    "unknown field \(SafetensorsError.quoted(key)); expected dtype, shape and data_offsets")
            }
        }
        func invalid(_ problem: String) -> SafetensorsError {
            .invalidTensor(tensor: name, file: scanner.file, problem: problem)
        }
        guard let typeName else { throw invalid("has no dtype") }
        guard let shape else { throw invalid("has no shape") }
        guard let offsets else { throw invalid("has no data_offsets") }
        guard let dtype = SafetensorsType(rawValue: typeName) else {
            throw invalid("has the unknown dtype \(SafetensorsError.quoted(typeName))")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw invalid("has data_offsets \(SafetensorsError.shown(offsets)); expected a begin and an end after it")
        }
        let range = offsets[0]..<offsets[1]
        guard let byteCount = SafetensorsTensor.byteCount(of: dtype, shape: shape) else {
            throw invalid("has an impossible size, \(SafetensorsError.shown(shape)) of \(dtype.rawValue)")
        }
        guard byteCount == range.count else {
            throw invalid(
                "takes \(range.count) bytes; \(SafetensorsError.shown(shape)) of \(dtype.rawValue) is \(byteCount)")
        }
        return SafetensorsTensor(name: name, dtype: dtype, shape: shape, byteRange: range)
    }

    /// Checks that each byte of a file's data belongs to exactly one tensor.
    ///
    /// - Throws: ``SafetensorsError/truncated(file:expected:found:)``,
    ///   ``SafetensorsError/invalidTensor(tensor:file:problem:)`` for an overlap, or
    ///   ``SafetensorsError/uncoveredBytes(file:range:)``.
    func checkCoverage(dataBytes: Int, headerBytes: Int, file: String) throws {
        let ordered = tensors.values.sorted {
            ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
        }
        let end = ordered.map(\.byteRange.upperBound).max() ?? 0
        let start = Self.lengthBytes + headerBytes
        guard end <= dataBytes else {
            throw SafetensorsError.truncated(
                file: file, expected: UInt64(start) + UInt64(end), found: start + dataBytes)
        }
        var covered = 0
        for tensor in ordered {
            if tensor.byteRange.lowerBound < covered {
                throw SafetensorsError.invalidTensor(
                    tensor: tensor.name, file: file, problem: "shares data bytes with another tensor")
            }
            if tensor.byteRange.lowerBound > covered {
                throw SafetensorsError.uncoveredBytes(file: file, range: covered..<tensor.byteRange.lowerBound)
            }
            covered = tensor.byteRange.upperBound
        }
        if covered < dataBytes { throw SafetensorsError.uncoveredBytes(file: file, range: covered..<dataBytes) }
    }
}

/// How a safetensors file stores a tensor's values, all little-endian.
public enum SafetensorsType: String, Sendable, CaseIterable {
    case float64 = "F64"
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case float8e5m2 = "F8_E5M2"
    case float8e4m3 = "F8_E4M3"
    case float8e8m0 = "F8_E8M0"
    case float6e2m3 = "F6_E2M3"
    case float6e3m2 = "F6_E3M2"
    case float4 = "F4"
    case complex64 = "C64"
    case int64 = "I64"
    case int32 = "I32"
    case int16 = "I16"
    case int8 = "I8"
    case uint64 = "U64"
    case uint32 = "U32"
    case uint16 = "U16"
    case uint8 = "U8"
    case boolean = "BOOL"

    public var bitsPerValue: Int {
        switch self {
        case .float64, .complex64, .int64, .uint64: 64
        case .float32, .int32, .uint32: 32
        case .float16, .bfloat16, .int16, .uint16: 16
        case .float8e5m2, .float8e4m3, .float8e8m0, .int8, .uint8, .boolean: 8
        case .float6e2m3, .float6e3m2: 6
        case .float4: 4
        }
    }
}

/// A tensor's entry in a file's header.
public struct SafetensorsTensor: Sendable, Equatable {
    public let name: String
    public let dtype: SafetensorsType
    public let shape: [Int]
    /// The bytes of the values, counted from the end of the header.
    public let byteRange: Range<Int>

    /// The number of values: 1 for a scalar, whose shape is empty.
    public var count: Int { byteRange.count * 8 / dtype.bitsPerValue }

    /// The bytes of a tensor; nil if that is not a whole number or overflows.
    static func byteCount(of dtype: SafetensorsType, shape: [Int]) -> Int? {
        var bits = dtype.bitsPerValue
        for dimension in shape {
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else { return nil }
            bits = product
        }
        return bits.isMultiple(of: 8) ? bits / 8 : nil
    }
}

/// Reads the parts of JSON (RFC 8259) that a safetensors header has: objects, strings, and arrays of integers that are not negative.
///
/// It reads value by value, and stops at the first that the format does not allow: a forged header of 100 MB takes no memory for a tree.
struct SafetensorsHeaderScanner {
    let bytes: [UInt8]
    let file: String
    private(set) var position = 0

    /// An error at the current position.
    func problem(_ text: String) -> SafetensorsError {
        .malformedHeader(file: file, byte: SafetensorsHeader.lengthBytes + position, problem: text)
    }

    /// Reads an object, calling `member` after each key and colon; `member` reads the value.
    mutating func scanObject(member: (inout Self, String) throws -> Void) throws {
        try expect("{")
        if skip("}") { return }
        repeat {
            let key = try scanString()
            try expect(":")
            try member(&self, key)
        } while skip(",")
        try expect("}")
    }

    /// Reads an array of integers, each from 0 to `Int.max`.
    ///
    /// - Parameter limit: The largest number of integers; reading stops at one more.
    mutating func scanIntegers(atMost limit: Int) throws -> [Int] {
        var integers: [Int] = []
        try expect("[")
        if skip("]") { return integers }
        repeat {
            guard integers.count < limit else { throw problem("expected no more than \(limit) integers") }
            integers.append(try scanInteger())
        } while skip(",")
        try expect("]")
        return integers
    }

    private mutating func scanInteger() throws -> Int {
        skipSpace()
        let start = position
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        let digits = bytes[start..<position]
        let numberContinues = current.map { Array(".eE".utf8).contains($0) } ?? false
        guard !digits.isEmpty, !numberContinues, digits.count == 1 || digits.first != UInt8(ascii: "0"),
            let value = Int(String(decoding: digits, as: UTF8.self))
        else {
            position = start
            throw problem("expected an integer from 0 to \(Int.max)")
        }
        return value
    }

    /// Reads a string with its escapes.
    mutating func scanString() throws -> String {
        skipSpace()
        guard current == UInt8(ascii: "\"") else { throw problem("expected a string in quotes") }
        let start = position
        position += 1
        var utf8: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw problem("expected no control character in a string") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                utf8.append(contentsOf: String(try scanEscape()).utf8)
            } else {
                utf8.append(byte)
            }
        }
        guard current != nil else {
            position = start
            throw problem("expected a string that ends")
        }
        position += 1
        guard let string = String(validating: utf8, as: UTF8.self) else {
            position = start
            throw problem("expected a string of valid UTF-8")
        }
        return string
    }

    private mutating func scanEscape() throws -> Unicode.Scalar {
        let letter = current
        position += 1
        switch letter {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let first = try scanHexadecimal()
            guard UTF16.isLeadSurrogate(first) else {
                guard let scalar = Unicode.Scalar(first) else { throw problem("expected no lone surrogate") }
                return scalar
            }
            guard bytes[min(position, bytes.count)...].starts(with: "\\u".utf8) else {
                throw problem("expected the second half of a surrogate pair")
            }
            position += 2
            let second = try scanHexadecimal()
            guard UTF16.isTrailSurrogate(second) else { throw problem("expected the second half of a surrogate pair") }
            return UTF16.decode(UTF16.EncodedScalar([first, second]))
        default:
            position -= 1
            throw problem("expected an escape that JSON knows")
        }
    }

    private mutating func scanHexadecimal() throws -> UInt16 {
        let end = min(position + 4, bytes.count)
        let digits = bytes[position..<end]
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw problem("expected four hexadecimal digits") }
        position = end
        return value
    }

    /// Checks that only spaces follow.
    mutating func expectEnd() throws {
        skipSpace()
        guard current == nil else { throw problem("expected the end of the header") }
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard skip(character) else { throw problem("expected \"\(character)\"") }
    }
}
