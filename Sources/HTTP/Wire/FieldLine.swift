import HTTPTypes

/// One `field-name ":" OWS field-value OWS` line (RFC 9112 section 5).
struct FieldLine {
    let field: HTTPField

    /// - Parameter bytes: The line without its end, free of control characters.
    init(_ bytes: [UInt8]) throws(RequestRejection) {
        guard let first = bytes.first, !first.isWhitespace else {
            // RFC 9112 section 5.2: a server must reject line folding or undo it; undoing it is where parsers differ.
            throw .malformed("A header line starts with whitespace: fold no lines.")
        }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
            throw .malformed("A header line has no colon: send \"Name: value\".")
        }
        let name = bytes[..<colon]
        if let last = name.last, last.isWhitespace {
            // RFC 9112 section 5.1: such a request must be refused; removing the space has led to smuggled requests.
            throw .malformed("A field name is followed by whitespace: put the colon right after it.")
        }
        guard name.isToken, let name = HTTPField.Name(String(decoding: name, as: UTF8.self)) else {
            throw .malformed("A field name has a character that names may not have.")
        }
        field = HTTPField(name: name, value: bytes[(colon + 1)...].trimmingWhitespace)
    }
}

/// Holds a header or trailer section to its limits.
struct FieldSectionMeter: Sendable {
    private let limits: RequestLimits
    private var bytes = 0
    private var fields = 0

    init(limits: RequestLimits) {
        self.limits = limits
    }

    /// The longest line that still fits.
    var remainingBytes: Int { max(limits.headerBytes - bytes, 0) }

    mutating func count(_ line: [UInt8]) throws(RequestRejection) {
        bytes += line.count + 2
        fields += 1
        // HTTPFields holds fewer than 2^16 fields.
        let limit = min(limits.headerCount, Int(UInt16.max) - 1)
        guard fields <= limit else { throw .tooManyFields(limit: limit) }
    }
}
