/// Decodes a body in the chunked transfer coding (RFC 9112 section 7.1). The result does not depend on how its bytes are split.
struct ChunkedDecoder: Sendable {
    private enum State {
        /// In a line such as `1a;name=value`.
        case size
        /// In a chunk, of which this many bytes remain.
        case data(remaining: Int)
        /// After a chunk's data; an empty line must follow.
        case dataEnd
        /// After the chunk of size zero, in the trailer fields, which end with an empty line.
        case trailer
    }

    /// The longest chunk-size line. The RFC sets no limit to extensions; without one, a client could send them without end.
    private static let sizeLineLimit = 256

    private let limits: RequestLimits
    private var state = State.size
    private var line = LineReader()
    private var extensionBytes = 0
    private var trailer: FieldSectionMeter
    private(set) var body: [UInt8] = []

    init(limits: RequestLimits) {
        self.limits = limits
        trailer = FieldSectionMeter(limits: limits)
    }

    /// Consumes bytes up to the end of the body: true when ``body`` is complete, false when the input is used up.
    mutating func decode(_ input: inout ArraySlice<UInt8>) throws(RequestRejection) -> Bool {
        while !input.isEmpty {
            switch state {
            case .size:
                guard try readLine(&input, limit: Self.sizeLineLimit, "A chunk-size line is longer than 256 bytes.")
                else { return false }
                let size = try chunkSize(of: line.bytes)
                line.reset()
                state = size == 0 ? .trailer : .data(remaining: size)
            case .data(let remaining):
                let taken = input.prefix(remaining)
                body.append(contentsOf: taken)
                input = input[taken.endIndex...]
                state = taken.count == remaining ? .dataEnd : .data(remaining: remaining - taken.count)
            case .dataEnd:
                guard try readLine(&input, limit: 0, "A chunk's data does not end where its size says.") else {
                    return false
                }
                state = .size
            case .trailer:
                guard
                    try line.read(
                        &input, limit: trailer.remainingBytes, orReject: .headerTooLarge(limit: limits.headerBytes))
                else { return false }
                if line.bytes.isEmpty { return true }
                // Trailer fields are checked and dropped: RFC 9110 section 6.5.1 lets a recipient ignore them, and none
                // of them is allowed to change the header section.
                try trailer.count(line.bytes)
                _ = try FieldLine(line.bytes)
                line.reset()
            }
        }
        return false
    }

    private mutating func readLine(
        _ input: inout ArraySlice<UInt8>, limit: Int, _ sentence: String
    ) throws(RequestRejection) -> Bool {
        try line.read(&input, limit: limit, orReject: .malformed(sentence))
    }

    /// Reads `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1). Well-formed extensions are ignored, as section 7.1.1 requires.
    private mutating func chunkSize(of bytes: [UInt8]) throws(RequestRejection) -> Int {
        let digits = bytes.prefix { $0.hexadecimalValue != nil }
        guard !digits.isEmpty else { throw .malformed("A chunk size is not a hexadecimal number.") }
        let extensions = bytes[digits.endIndex...]
        guard ChunkExtensions.areValid(extensions) else {
            throw .malformed("A chunk size is followed by something other than extensions such as \";name=value\".")
        }
        extensionBytes += extensions.count
        guard extensionBytes <= limits.headerBytes else { throw .headerTooLarge(limit: limits.headerBytes) }

        var size = 0
        for digit in digits {
            // The limit is checked at each digit, so that a long number cannot overflow.
            size = size * 16 + (digit.hexadecimalValue ?? 0)
            guard size <= limits.bodyBytes - body.count else { throw .bodyTooLarge(limit: limits.bodyBytes) }
        }
        return size
    }
}

/// The grammar of the extensions that can follow a chunk's size (RFC 9112 section 7.1.1):
///
///     chunk-ext     = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
///     chunk-ext-val = token / quoted-string
///
/// This server ignores extensions. But two parsers that disagree on where an extension ends can disagree on where its chunk
/// begins, so extensions that do not follow the grammar are refused.
enum ChunkExtensions {
    /// - Parameter bytes: The chunk-size line after the size, without its line end and free of control characters.
    static func areValid(_ bytes: ArraySlice<UInt8>) -> Bool {
        var remaining = bytes
        while !remaining.isEmpty {
            skipWhitespace(&remaining)
            guard remaining.popFirst() == UInt8(ascii: ";") else { return false }
            skipWhitespace(&remaining)
            guard skipToken(&remaining) else { return false }
            // This whitespace belongs to the value or to the next extension.
            var value = remaining
            skipWhitespace(&value)
            guard value.popFirst() == UInt8(ascii: "=") else { continue }
            skipWhitespace(&value)
            guard value.first == UInt8(ascii: "\"") ? skipQuotedString(&value) : skipToken(&value) else { return false }
            remaining = value
        }
        return true
    }

    private static func skipWhitespace(_ remaining: inout ArraySlice<UInt8>) {
        remaining = remaining.drop(while: \.isWhitespace)
    }

    private static func skipToken(_ remaining: inout ArraySlice<UInt8>) -> Bool {
        let token = remaining.prefix(while: \.isTokenCharacter)
        remaining = remaining[token.endIndex...]
        return !token.isEmpty
    }

    /// `DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110 section 5.6.4). As the line has no control characters, all bytes
    /// except the quote and the backslash are `qdtext`, and any byte can follow a backslash.
    private static func skipQuotedString(_ remaining: inout ArraySlice<UInt8>) -> Bool {
        remaining = remaining.dropFirst()
        while let byte = remaining.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\") where remaining.popFirst() == nil: return false
            default: break
            }
        }
        return false
    }
}
