/// The target of a request (RFC 9112 section 3.2), in origin-form, absolute-form or asterisk-form.
struct RequestTarget: Sendable, Equatable {
    /// The path as it was sent. It starts with `/`, or is `*`.
    let path: String
    /// The path's parts between slashes, decoded. Empty for `*`.
    let segments: [String]
    let query: [QueryItem]
    /// The scheme of an absolute-form target, in lower case.
    let scheme: String?
    /// The host, and the port if there is one, of an absolute-form target.
    let authority: String?

    /// - Parameter bytes: The target in the request line: without spaces, not empty.
    init(_ bytes: ArraySlice<UInt8>, method: String) throws(RequestRejection) {
        if bytes.elementsEqual("*".utf8) {
            // RFC 9112 section 3.2.4: only a server-wide OPTIONS has this form.
            guard method == "OPTIONS" else { throw .malformed("The request target \"*\" is for OPTIONS only.") }
            (path, segments, query, scheme, authority) = ("*", [], [], nil, nil)
            return
        }
        var remaining = bytes
        if bytes.first == UInt8(ascii: "/") {
            (scheme, authority) = (nil, nil)
        } else {
            (scheme, authority) = try Self.readOrigin(from: &remaining)
        }

        let pathBytes = remaining.prefix { $0 != UInt8(ascii: "?") }
        guard pathBytes.allSatisfy({ $0.isPathCharacter || $0 == UInt8(ascii: "/") }) else {
            throw .malformed("The request target's path has a character that must be percent-encoded.")
        }
        // RFC 9112 section 3.2.1: an empty path is sent as "/"; an absolute-form target can omit it.
        path = pathBytes.isEmpty ? "/" : String(decoding: pathBytes, as: UTF8.self)
        var segments: [String] = []
        for segment in pathBytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            segments.append(try Self.decode(segment, plusIsSpace: false))
        }
        self.segments = segments

        let queryBytes = remaining[pathBytes.endIndex...].dropFirst()
        guard queryBytes.allSatisfy(\.isQueryCharacter) else {
            throw .malformed("The request target's query has a character that must be percent-encoded.")
        }
        var query: [QueryItem] = []
        for pair in queryBytes.split(separator: UInt8(ascii: "&")) {
            let name = pair.prefix { $0 != UInt8(ascii: "=") }
            query.append(
                QueryItem(
                    name: try Self.decode(name, plusIsSpace: true),
                    value: try Self.decode(pair[name.endIndex...].dropFirst(), plusIsSpace: true)))
        }
        self.query = query
    }

    /// Reads `scheme://authority` from the front of an absolute-form target (RFC 9112 section 3.2.2).
    private static func readOrigin(
        from remaining: inout ArraySlice<UInt8>
    ) throws(RequestRejection) -> (scheme: String, authority: String) {
        let schemeBytes = remaining.prefix { $0 != UInt8(ascii: ":") }
        let scheme = schemeBytes.lowercasedASCII
        let afterScheme = remaining[schemeBytes.endIndex...]
        guard scheme == "http" || scheme == "https", afterScheme.starts(with: "://".utf8) else {
            throw .malformed("The request target is neither a path that starts with \"/\" nor an http or https URI.")
        }
        let authorityBytes = afterScheme.dropFirst(3).prefix {
            $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?")
        }
        guard Authority(authorityBytes) != nil else {
            throw .malformed("The request target's authority is not a host with an optional port.")
        }
        remaining = remaining[authorityBytes.endIndex...]
        return (scheme, String(decoding: authorityBytes, as: UTF8.self))
    }

    /// Percent-decodes one component (RFC 3986 section 2.1).
    private static func decode(
        _ bytes: ArraySlice<UInt8>, plusIsSpace: Bool
    ) throws(RequestRejection) -> String {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var remaining = bytes
        while let byte = remaining.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = remaining.popFirst()?.hexadecimalValue,
                    let low = remaining.popFirst()?.hexadecimalValue
                else {
                    throw .malformed(
                        "A percent sign in the request target is not followed by two hexadecimal digits: "
                            + "write %25 for the sign itself.")
                }
                decoded.append(UInt8(high * 16 + low))
            case UInt8(ascii: "+") where plusIsSpace:
                decoded.append(.space)
            default:
                decoded.append(byte)
            }
        }
        guard let string = String(validating: decoded, as: UTF8.self) else {
            throw .malformed("The request target's percent-encoded bytes are not UTF-8.")
        }
        return string
    }
}

/// One `name=value` of a query. A name without `=` has an empty value.
public struct QueryItem: Sendable, Hashable {
    public var name: String
    public var value: String
}
