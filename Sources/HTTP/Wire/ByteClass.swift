/// The character classes of RFC 9110 section 5.6 and RFC 3986, as properties of a byte.
extension UInt8 {
    static let horizontalTab = UInt8(ascii: "\t")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")

    var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }
    var isLetter: Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= self | 0x20 }

    /// `tchar`, a character of tokens such as methods and field names (RFC 9110 section 5.6.2).
    var isTokenCharacter: Bool { ByteSet.token.contains(self) }

    /// A byte of a field value: visible ASCII, space, tab, or a byte beyond ASCII (RFC 9110 section 5.5).
    var isFieldContent: Bool { self >= 0x20 && self != 0x7F || self == .horizontalTab }

    /// `OWS`, optional whitespace (RFC 9110 section 5.6.3).
    var isWhitespace: Bool { self == .space || self == .horizontalTab }

    /// `pchar`, a character of a path segment, percent signs included (RFC 3986 section 3.3).
    var isPathCharacter: Bool { ByteSet.path.contains(self) }

    /// A character of a query (RFC 3986 section 3.4), or one that browsers send there unescaped.
    var isQueryCharacter: Bool { ByteSet.query.contains(self) }

    /// A character of a host name or an IPv4 address. RFC 3986 section 3.2.2 also allows sub-delimiters, but they occur in
    /// no real host name, and a comma could hide a list.
    var isHostCharacter: Bool { isDigit || isLetter || ByteSet.hostPunctuation.contains(self) }

    var hexadecimalValue: Int? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(self - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(self - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}

private struct ByteSet {
    private let bits: UInt128

    init(_ characters: String) {
        bits = characters.utf8.reduce(0) { $0 | 1 << UInt128($1) }
    }

    func contains(_ byte: UInt8) -> Bool { bits >> UInt128(byte) & 1 == 1 }

    private static let alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    static let token = ByteSet(alphanumerics + "!#$%&'*+-.^_`|~")
    static let path = ByteSet(alphanumerics + "-._~%!$&'()*+,;=:@")
    static let query = ByteSet(alphanumerics + "-._~%!$&'()*+,;=:@/?[]{}|\\^`")
    static let hostPunctuation = ByteSet("-._~%")
}

extension ArraySlice<UInt8> {
    var trimmingWhitespace: ArraySlice<UInt8> {
        var trimmed = drop(while: \.isWhitespace)
        while trimmed.last?.isWhitespace == true { trimmed.removeLast() }
        return trimmed
    }

    /// The text with A to Z in lower case. Unicode's lowercase mapping would turn the Kelvin sign into a k, and so a coding
    /// that other parties do not recognize into `chunked`.
    var lowercasedASCII: String {
        String(decoding: map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Whether the bytes are a token: at least one `tchar`, and nothing else.
    var isToken: Bool { !isEmpty && allSatisfy(\.isTokenCharacter) }
}
