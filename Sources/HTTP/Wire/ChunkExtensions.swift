/// What may follow a chunk's size (RFC 9112 section 7.1.1):
///
///     chunk-ext     = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
///     chunk-ext-val = token / quoted-string
///
/// Extensions mean nothing to this server, but two parsers that disagree on where one ends can disagree on where its chunk
/// begins, so what does not follow the grammar is refused.
enum ChunkExtensions {
    /// - Parameter bytes: The chunk-size line after the size and without its end, free of control characters.
    static func areValid(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            skipWhitespace(&rest)
            guard rest.popFirst() == UInt8(ascii: ";") else { return false }
            skipWhitespace(&rest)
            guard skipToken(&rest) else { return false }
            // Whitespace here belongs to what follows it, be that a value or the next extension.
            var value = rest
            skipWhitespace(&value)
            guard value.popFirst() == UInt8(ascii: "=") else { continue }
            skipWhitespace(&value)
            guard value.first == UInt8(ascii: "\"") ? skipQuotedString(&value) : skipToken(&value) else { return false }
            rest = value
        }
        return true
    }

    private static func skipWhitespace(_ rest: inout ArraySlice<UInt8>) {
        rest = rest.drop(while: \.isWhitespace)
    }

    private static func skipToken(_ rest: inout ArraySlice<UInt8>) -> Bool {
        let token = rest.prefix(while: \.isTokenCharacter)
        rest = rest[token.endIndex...]
        return !token.isEmpty
    }

    /// `DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110 section 5.6.4). As the line has no control characters, all bytes
    /// but the quote and the backslash are `qdtext`, and any may follow a backslash.
    private static func skipQuotedString(_ rest: inout ArraySlice<UInt8>) -> Bool {
        rest = rest.dropFirst()
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\") where rest.popFirst() == nil: return false
            default: break
            }
        }
        return false
    }
}
