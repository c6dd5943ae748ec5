/// Reads the tokens and ids of `model.vocab` from the bytes of a `tokenizer.json` that is known to be JSON (RFC 8259).
///
/// Swift takes two strings for the same key where one is the other in another Unicode normalization form, such as `Å` the
/// letter and `Å` the unit, and vocabularies have both: a dictionary of strings would lose one of them.
struct VocabularyScanner {
    private let bytes: [UInt8]
    private var position = 0

    /// The entries in the order of the file; nil where the bytes are not as expected. Of entries with the same token the
    /// last counts.
    static func entries(in bytes: [UInt8]) -> [(token: String, identifier: Int)]? {
        var scanner = VocabularyScanner(bytes: bytes)
        guard scanner.enterMember("model"), scanner.enterMember("vocab") else { return nil }
        return scanner.scanEntries()
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Moves to the value of a member of the object that starts here.
    private mutating func enterMember(_ name: String) -> Bool {
        guard skip("{") else { return false }
        repeat {
            guard let key = scanString(), skip(":") else { return false }
            if key == Array(name.utf8) { return true }
            guard skipValue() else { return false }
        } while skip(",")
        return false
    }

    private mutating func scanEntries() -> [(token: String, identifier: Int)]? {
        var entries: [(token: String, identifier: Int)] = []
        guard skip("{") else { return nil }
        if skip("}") { return entries }
        repeat {
            guard let key = scanString(), let token = String(validating: key, as: UTF8.self), skip(":"),
                let identifier = scanInteger()
            else { return nil }
            entries.append((token, identifier))
        } while skip(",")
        return skip("}") ? entries : nil
    }

    private mutating func scanInteger() -> Int? {
        skipSpace()
        let start = position
        while let byte = current, !Array(",}] \t\r\n".utf8).contains(byte) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        return Int(text) ?? Double(text).flatMap(Int.init(exactly:))
    }

    /// Objects and lists are passed over by their brackets.
    private mutating func skipValue() -> Bool {
        var depth = 0
        repeat {
            skipSpace()
            guard let byte = current else { return false }
            switch byte {
            case UInt8(ascii: "\""):
                guard scanString() != nil else { return false }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth < 0 { return false }
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                if depth == 0 { return false }
            default:
                while let byte = current, !Array(",:{}[]\" \t\r\n".utf8).contains(byte) { position += 1 }
                continue
            }
            position += 1
        } while depth > 0
        return true
    }

    // MARK: Strings

    private mutating func scanString() -> [UInt8]? {
        guard skip("\"") else { return nil }
        var text: [UInt8] = []
        while let byte = current {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return text
            case UInt8(ascii: "\\"):
                guard let scalar = scanEscape() else { return nil }
                text += UTF8.encode(scalar).map(Array.init) ?? []
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func scanEscape() -> Unicode.Scalar? {
        guard let letter = current else { return nil }
        position += 1
        switch letter {
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = scanCodeUnit() else { return nil }
            guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) }
            guard bytes[position...].starts(with: #"\u"#.utf8) else { return nil }
            position += 2
            guard let second = scanCodeUnit(), UTF16.isTrailSurrogate(second) else { return nil }
            return UTF16.decode(UTF16.EncodedScalar([first, second]))
        default: return Unicode.Scalar(letter)
        }
    }

    private mutating func scanCodeUnit() -> UInt16? {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, let value = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            return nil
        }
        position += 4
        return value
    }

    // MARK: Bytes

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }
}
