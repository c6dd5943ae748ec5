/// Collects one line at a time, however the bytes are split.
///
/// A line ends with CR LF and nothing else. RFC 9112 section 2.2 would let a server take a bare LF for a line's end, but
/// two parties that disagree on where a line ends disagree on where a request ends, so it is refused here, as is a bare CR.
struct LineReader: Sendable {
    /// The line so far, without its end.
    private(set) var bytes: [UInt8] = []
    private var sawCarriageReturn = false

    /// Whether nothing of a line has been read yet.
    var isEmpty: Bool { bytes.isEmpty && !sawCarriageReturn }

    /// Takes bytes from the front of the input up to the end of the line.
    ///
    /// - Parameters:
    ///   - limit: The longest line, without its end.
    ///   - rejection: What a longer line is refused with.
    /// - Returns: True when the line is complete and stands in ``bytes``; false when the input is used up.
    /// - Throws: The rejection, or ``RequestRejection/malformed(_:)`` for a control character.
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

    /// Forgets the line that was read. The memory of a short one is kept for the next; an idle connection holds no more.
    mutating func reset() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1024)
    }
}
