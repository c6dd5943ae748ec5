/// The character classes of RFC 9110 section 5.6 and RFC 3986, as questions about one byte.
extension UInt8 {
    static let horizontalTab = UInt8(ascii: "\t")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")

    /// `DIGIT`
    var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }

    /// `ALPHA`
    var isLetter: Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= self | 0x20 }

    /// `tchar`, what tokens such as methods and field names are made of (RFC 9110 section 5.6.2).
    var isTokenCharacter: Bool { ByteSet.token.contains(self) }

    /// What a field value may hold: visible characters, space, tab and bytes beyond ASCII (RFC 9110 section 5.5).
    var isFieldContent: Bool { self >= 0x20 && self != 0x7F || self == .horizontalTab }

    /// `OWS`, optional whitespace (RFC 9110 section 5.6.3).
    var isWhitespace: Bool { self == .space || self == .horizontalTab }

    /// What a path may hold beside `/`: `pchar`, percent signs included (RFC 3986 section 3.3).
    var isPathCharacter: Bool { ByteSet.path.contains(self) }

    /// What a query may hold. Besides RFC 3986 section 3.4 this takes the characters that browsers send unescaped there.
    var isQueryCharacter: Bool { ByteSet.query.contains(self) }

    /// What a host may hold outside of brackets: names and IPv4 addresses. Sub-delimiters, which RFC 3986 section 3.2.2
    /// would allow, occur in no real host name, and commas could hide a list.
    var isHostCharacter: Bool { isDigit || isLetter || ByteSet.hostPunctuation.contains(self) }

    /// The value of a hexadecimal digit, or nil.
    var hexadecimalValue: Int? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(self - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(self - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}

/// A set of ASCII characters.
private struct ByteSet {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    init(_ characters: String) {
        for byte in characters.utf8 {
            if byte < 64 { low |= 1 << UInt64(byte) } else if byte < 128 { high |= 1 << UInt64(byte - 64) }
        }
    }

    func contains(_ byte: UInt8) -> Bool {
        if byte < 64 { return low >> UInt64(byte) & 1 == 1 }
        return byte < 128 && high >> UInt64(byte - 64) & 1 == 1
    }

    private static let alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    static let token = ByteSet(alphanumerics + "!#$%&'*+-.^_`|~")
    static let path = ByteSet(alphanumerics + "-._~%!$&'()*+,;=:@")
    static let query = ByteSet(alphanumerics + "-._~%!$&'()*+,;=:@/?[]{}|\\^`")
    static let hostPunctuation = ByteSet("-._~%")
}

extension ArraySlice<UInt8> {
    /// The bytes without whitespace around them.
    var trimmingWhitespace: ArraySlice<UInt8> {
        var rest = self
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest
    }

    /// The text with A to Z in lower case. Unicode's lower case would turn the Kelvin sign into a k, and so a coding that
    /// other parties do not know into `chunked`.
    var lowercasedASCII: String {
        String(decoding: map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Whether the bytes are a token: one `tchar` at least and nothing else.
    var isToken: Bool { !isEmpty && allSatisfy(\.isTokenCharacter) }
}
