/// Reads the tokens of a JSON text: strings, numbers, words and punctuation.
struct JSONScanner {
    private let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skip() { position += 1 }

    mutating func skipSpace() {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = next, UInt32(byte) == character.value else { return false }
        position += 1
        return true
    }

    mutating func take(word: String) -> Bool {
        guard bytes[position...].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    /// Whether the text ends inside `true`, `false` or `null`.
    var isWithinWord: Bool {
        ["true", "false", "null"].contains { $0.utf8.starts(with: bytes[position...]) }
    }

    // MARK: Numbers

    var isAtNumber: Bool {
        guard next == UInt8(ascii: "-") else { return next?.isDigit ?? false }
        return notANumber == nil
    }

    /// The word here with which Python or JavaScript writes NaN or an infinity, if any.
    var notANumber: String? {
        let start = bytes[position...].prefix(1 + "Infinity".utf8.count)
        return ["NaN", "-NaN", "Infinity", "-Infinity", "nan", "-nan", "inf", "-inf"].first {
            start.starts(with: $0.utf8)
        }
    }

    /// Reads the number that begins here, and returns its text unchanged.
    mutating func number() throws(JSONReader.Mistake) -> String {
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

    private mutating func digits() throws(JSONReader.Mistake) {
        let start = position
        while let byte = next, byte.isDigit { position += 1 }
        guard position > start else { throw mistake("expected a digit, found \(found)") }
    }

    // MARK: Strings

    /// Reads the string whose opening quotation mark is here.
    mutating func string() throws(JSONReader.Mistake) -> String {
        let opening = position
        position += 1
        let start = position
        skipPlain()
        // Most strings have no escape and are copied as a whole.
        if next == UInt8(ascii: "\"") {
            guard let string = String(validating: bytes[start..<position], as: UTF8.self) else {
                throw notUTF8(at: opening)
            }
            position += 1
            return string
        }
        var text = Array(bytes[start..<position])
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw notUTF8(at: opening) }
                position += 1
                return string
            case UInt8(ascii: "\\"):
                position += 1
                try takeEscape(into: &text)
            case 0..<0x20:
                throw mistake(
                    "a control character in a string must be written as \\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))"
                )
            default:
                let start = position
                skipPlain()
                text.append(contentsOf: bytes[start..<position])
            }
        }
        position = opening
        throw mistake("this string has no end", isAtEnd: true)
    }

    /// Skips to the next quotation mark, backslash or control character.
    private mutating func skipPlain() {
        let bytes = bytes
        var index = position
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
            index += 1
        }
        position = index
    }

    private func notUTF8(at opening: Int) -> JSONReader.Mistake {
        var scanner = self
        scanner.position = opening
        return scanner.mistake("this string is not valid UTF-8")
    }

    /// Reads the escape after a backslash.
    private mutating func takeEscape(into text: inout [UInt8]) throws(JSONReader.Mistake) {
        guard let byte = next else { throw mistake("expected an escape, found \(found)") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            text.append(contentsOf: UTF8.encode(try escapedScalar()) ?? UTF8.encodedReplacementCharacter)
        default:
            position -= 1
            throw mistake("expected an escape, found \(found)")
        }
    }

    /// Reads four hexadecimal digits, or two escapes of four for a pair of surrogates (RFC 8259 section 7).
    private mutating func escapedScalar() throws(JSONReader.Mistake) -> Unicode.Scalar {
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
        let isCut = isAtEnd
        position = start
        throw mistake("half a surrogate pair is not a character", isAtEnd: isCut)
    }

    private mutating func hexadecimal() throws(JSONReader.Mistake) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = next?.hexadecimalValue else {
                throw mistake("expected four hexadecimal digits, found \(found)")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    // MARK: Mistakes

    /// The character here, for an error message.
    var found: String {
        guard let byte = next else { return "the end of the text" }
        if bytes[position...].starts(with: [0xEF, 0xBB, 0xBF]) { return "a byte order mark" }
        guard byte < 0x80 else { return "a character outside of strings that is not ASCII" }
        return byte < 0x20 || byte == 0x7F ? "a control character" : "'\(Character(Unicode.Scalar(byte)))'"
    }

    /// A mistake at this position.
    func mistake(_ reason: String, isAtEnd: Bool? = nil) -> JSONReader.Mistake {
        let before = bytes[..<position]
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let scalars = before[lineStart...].count { $0 & 0xC0 != 0x80 }
        return JSONReader.Mistake(
            reason: reason, line: 1 + before.count { $0 == 0x0A }, column: scalars + 1,
            isAtEnd: isAtEnd ?? self.isAtEnd)
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    fileprivate var hexadecimalValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
