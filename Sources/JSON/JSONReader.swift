/// Reads JSON text as RFC 8259 has it, and nothing beside it.
///
/// Foundation's reader takes trailing commas and does not say where a mistake is.
public struct JSONReader {
    /// Where the text stops being JSON.
    public struct Mistake: Error, Equatable {
        public var reason: String
        /// From 1.
        public var line: Int
        /// In characters (Unicode scalars), from 1.
        public var column: Int
    }

    /// How deep arrays and objects may lie in each other.
    public static let maximumDepth = 100

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    /// - Throws: ``Mistake``.
    public static func read(_ bytes: [UInt8]) throws(Mistake) -> JSONTree {
        var reader = JSONReader(bytes: bytes)
        reader.skipSpace()
        let value = try reader.value()
        reader.skipSpace()
        guard reader.position == bytes.count else {
            throw reader.mistake("expected nothing after the value, found \(reader.found)")
        }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func value() throws(Mistake) -> JSONTree {
        switch next {
        case UInt8(ascii: "{"): return try nested { reader throws(Mistake) in try reader.object() }
        case UInt8(ascii: "["): return try nested { reader throws(Mistake) in try reader.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return .number(try number())
        default: throw mistake("expected a value, found \(found)")
        }
    }

    private mutating func nested(
        _ read: (inout JSONReader) throws(Mistake) -> JSONTree
    ) throws(Mistake) -> JSONTree {
        guard depth < Self.maximumDepth else {
            throw mistake("lists and objects lie deeper in each other than \(Self.maximumDepth)")
        }
        depth += 1
        position += 1
        skipSpace()
        let value = try read(&self)
        depth -= 1
        return value
    }

    private mutating func object() throws(Mistake) -> JSONTree {
        var members: [JSONTree.Member] = []
        var names: Set<String> = []
        if take("}") { return .object([]) }
        while true {
            guard next == UInt8(ascii: "\"") else {
                throw mistake("expected a member's name in double quotes, found \(found)")
            }
            let start = position
            let name = try string()
            guard names.insert(name).inserted else {
                position = start
                throw mistake("the member \"\(name)\" stands twice in one object")
            }
            skipSpace()
            guard take(":") else { throw mistake("expected a colon after a member's name, found \(found)") }
            skipSpace()
            members.append(JSONTree.Member(name: name, value: try value()))
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw mistake("expected a comma or the object's end, found \(found)") }
            skipSpace()
        }
    }

    private mutating func array() throws(Mistake) -> JSONTree {
        var elements: [JSONTree] = []
        if take("]") { return .array([]) }
        while true {
            elements.append(try value())
            skipSpace()
            if take("]") { return .array(elements) }
            guard take(",") else { throw mistake("expected a comma or the list's end, found \(found)") }
            skipSpace()
        }
    }

    private mutating func word(_ word: String, _ value: JSONTree) throws(Mistake) -> JSONTree {
        guard bytes[position...].starts(with: word.utf8) else { throw mistake("expected a value, found \(found)") }
        position += word.utf8.count
        return value
    }

    private mutating func number() throws(Mistake) -> String {
        let start = position
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func digits() throws(Mistake) {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw mistake("expected a digit, found \(found)") }
    }

    private mutating func string() throws(Mistake) -> String {
        let opening = position
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    position = opening
                    throw mistake("this string is not valid UTF-8")
                }
                return string
            case UInt8(ascii: "\\"):
                position += 1
                text.append(contentsOf: String(try escape()).utf8)
            case 0..<0x20:
                throw mistake(
                    "a control character in a string must be written as \\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))"
                )
            default:
                text.append(byte)
                position += 1
            }
        }
        position = opening
        throw mistake("this string has no end")
    }

    /// What follows a backslash.
    private mutating func escape() throws(Mistake) -> Unicode.Scalar {
        guard let byte = next else { throw mistake("expected an escape, found \(found)") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try escapedScalar()
        default:
            position -= 1
            throw mistake("expected an escape, found \(found)")
        }
    }

    /// Four hexadecimal digits, or twice four for a pair of surrogates (RFC 8259 section 7).
    private mutating func escapedScalar() throws(Mistake) -> Unicode.Scalar {
        let start = position
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, take("\\"), take("u") {
            let second = try hexadecimal()
            if (0xDC00..<0xE000).contains(second),
                let scalar = Unicode.Scalar(0x1_0000 + (first - 0xD800) << 10 + (second - 0xDC00))
            {
                return scalar
            }
        }
        position = start
        throw mistake("half a surrogate pair is no character")
    }

    private mutating func hexadecimal() throws(Mistake) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw mistake("expected four hexadecimal digits, found \(found)")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = next, UInt32(byte) == character.value else { return false }
        position += 1
        return true
    }

    /// What stands here, in the words of an error.
    private var found: String {
        guard let byte = next else { return "the end of the text" }
        guard byte < 0x80 else { return "a character outside of strings that is not ASCII" }
        return byte < 0x20 || byte == 0x7F ? "a control character" : "'\(Character(Unicode.Scalar(byte)))'"
    }

    private func mistake(_ reason: String) -> Mistake {
        let before = bytes[..<position]
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let scalars = before[lineStart...].count { $0 & 0xC0 != 0x80 }
        return Mistake(reason: reason, line: 1 + before.count { $0 == 0x0A }, column: scalars + 1)
    }
}
