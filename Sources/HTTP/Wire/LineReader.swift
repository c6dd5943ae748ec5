import HTTPTypes

/// Collects one line at a time. The result does not depend on how its bytes are split.
///
/// A line ends with CR LF and nothing else. RFC 9112 section 2.2 lets a server accept a bare LF as a line's end, but two
/// parties that disagree on where a line ends disagree on where a request ends. So a bare LF is refused, and so is a bare CR.
struct LineReader: Sendable {
    /// The line so far, without its end.
    private(set) var bytes: [UInt8] = []
    private var sawCarriageReturn = false

    var isEmpty: Bool { bytes.isEmpty && !sawCarriageReturn }

    /// Consumes bytes up to the end of the line: true when the line in ``bytes`` is complete, false when the input is used up.
    ///
    /// A line of more than `limit` bytes, without its end, is refused with `rejection`, and a control character as malformed.
    mutating func read(
        _ input: inout ArraySlice<UInt8>, limit: Int, orReject rejection: RequestRejection
    ) throws(RequestRejection) -> Bool {
        var position = input.startIndex
        defer { input = input[position...] }
        while position < input.endIndex {
            let byte = input[position]
            position += 1
            if sawCarriageReturn {
                guard byte == .lineFeed else { throw .malformed("A CR without an LF: end every line with CR LF.") }
                sawCarriageReturn = false
                return true
            }
            switch byte {
            case .carriageReturn:
                sawCarriageReturn = true
            case .lineFeed:
                throw .malformed("An LF without a CR: end every line with CR LF.")
            default:
                guard byte.isFieldContent else {
                    throw .malformed(
                        "The control character 0x\(String(byte, radix: 16)) in a request line or field: "
                            + "this port speaks plain HTTP/1.1.")
                }
                guard bytes.count < limit else { throw rejection }
                bytes.append(byte)
            }
        }
        return false
    }

    /// Starts the next line. The line's memory is kept for it only if the line was short, so that idle connections hold little.
    mutating func reset() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1024)
    }
}

/// One `field-name ":" OWS field-value OWS` line (RFC 9112 section 5).
struct FieldLine {
    let field: HTTPField

    /// - Parameter bytes: The line without its line end, free of control characters.
    init(_ bytes: [UInt8]) throws(RequestRejection) {
        guard let first = bytes.first, !first.isWhitespace else {
            // RFC 9112 section 5.2: a server must reject line folding or undo it. Parsers differ in how they undo it.
            throw .malformed("A header line starts with whitespace: fold no lines.")
        }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
            throw .malformed("A header line has no colon: send \"Name: value\".")
        }
        let name = bytes[..<colon]
        if let last = name.last, last.isWhitespace {
            // RFC 9112 section 5.1: such a request must be refused, because removing the space has led to request smuggling.
            throw .malformed("A field name is followed by whitespace: put the colon right after it.")
        }
        guard name.isToken, let name = HTTPField.Name(String(decoding: name, as: UTF8.self)) else {
            throw .malformed("A field name has a character that is not allowed in names.")
        }
        field = HTTPField(name: name, value: bytes[(colon + 1)...].trimmingWhitespace)
    }
}
