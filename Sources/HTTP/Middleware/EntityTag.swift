import HTTPTypes

/// Identifies one state of a resource, so that a client does not fetch again what it has cached (RFC 9110 section 8.8.3).
///
/// A strong tag identifies one sequence of bytes. ``Compression`` sends other bytes for the same document, so it gives them a tag
/// of their own: `"abc"` becomes `"abc-gzip"`. Conditions are compared without that suffix, because both tags identify the same
/// state. A 304 repeats the tag that the client sent, and so refreshes the cached response in either coding.
public struct EntityTag: Sendable, Hashable, CustomStringConvertible {
    /// The text between the quotes.
    public let opaque: String
    public let isWeak: Bool

    /// - Parameter opaque: Visible ASCII without quotes, such as a digest in hexadecimal. Other characters are removed.
    public init(_ opaque: String, isWeak: Bool = false) {
        self.opaque = String(decoding: opaque.utf8.filter(Self.isAllowed), as: UTF8.self)
        self.isWeak = isWeak
    }

    /// Reads a tag in the form of a field value: `"abc"` or `W/"abc"`.
    init?(field: String) {
        var bytes = Array(field.utf8)[...]
        isWeak = bytes.starts(with: "W/".utf8)
        if isWeak { bytes = bytes.dropFirst(2) }
        guard bytes.count >= 2, bytes.popFirst() == UInt8(ascii: "\""), bytes.popLast() == UInt8(ascii: "\""),
            bytes.allSatisfy(Self.isAllowed)
        else { return nil }
        opaque = String(decoding: bytes, as: UTF8.self)
    }

    public var description: String { "\(isWeak ? "W/" : "")\"\(opaque)\"" }

    /// `etagc`: visible characters except the quote. The RFC also allows bytes beyond ASCII, which this server never sends.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        0x21...0x7E ~= byte && byte != UInt8(ascii: "\"")
    }

    private static let gzipSuffix = "-gzip"

    var gzipped: EntityTag { isWeak ? self : EntityTag(opaque + Self.gzipSuffix) }

    /// The text between the quotes, without the suffix of ``gzipped``.
    private var state: String {
        opaque.hasSuffix(Self.gzipSuffix) ? String(opaque.dropLast(Self.gzipSuffix.count)) : opaque
    }

    /// Whether two tags identify the same state (RFC 9110 section 8.8.3.2, weak comparison).
    func matchesWeakly(_ other: EntityTag) -> Bool { state == other.state }

    /// Whether two strong tags identify the same state, compressed or not (strong comparison).
    func matchesStrongly(_ other: EntityTag) -> Bool { !isWeak && !other.isWeak && state == other.state }

    /// The tags in the list of a field such as If-None-Match, over all its lines. Elements that are not tags are ignored.
    static func list(_ values: [String]) -> [EntityTag] {
        values.flatMap { value in
            var tags: [EntityTag] = []
            var remaining = value[...]
            // A comma can be inside the quotes, so the list cannot be split at commas.
            while let open = remaining.firstIndex(of: "\"") {
                guard let close = remaining[remaining.index(after: open)...].firstIndex(of: "\"") else { break }
                let isWeak = remaining[..<open].hasSuffix("W/")
                let text = (isWeak ? "W/" : "") + remaining[open...close]
                if let tag = EntityTag(field: String(text)) { tags.append(tag) }
                remaining = remaining[remaining.index(after: close)...]
            }
            return tags
        }
    }
}

extension Request {
    /// The 304 response if the client already has the current state; nil if the resource must be sent.
    ///
    ///     let tag = EntityTag(result.digest)
    ///     if let response = request.notModified(tag) { return response }
    ///     return try .json(result.text(), headers: [.eTag: tag.description])
    ///
    /// - Parameters:
    ///   - tag: The tag of the current state.
    ///   - headers: The fields of the 200 that caches need, such as Cache-Control (RFC 9110 section 15.4.5).
    public func notModified(_ tag: EntityTag, headers: HTTPFields = [:]) -> Response? {
        guard method == .get || method == .head, self.headers.contains(.ifNoneMatch) else { return nil }
        let answered =
            self.headers.isAny(.ifNoneMatch)
            ? tag : EntityTag.list(self.headers[values: .ifNoneMatch]).first { $0.matchesWeakly(tag) }
        guard let answered else { return nil }
        var response = Response(status: .notModified, headers: headers)
        response.headers[.eTag] = EntityTag(answered.opaque, isWeak: tag.isWeak).description
        return response
    }

    /// The resource with its tag, or the 304 response if the client already has this state.
    public func response(_ body: [UInt8], contentType: String, tag: EntityTag, headers: HTTPFields) -> Response {
        if let response = notModified(tag, headers: headers) { return response }
        var headers = headers
        headers[.eTag] = tag.description
        return Response(contentType: contentType, body: body, headers: headers)
    }

    /// Whether the current state of a resource meets the request's conditions (RFC 9110 sections 13.1.1 and 13.1.2).
    ///
    /// For GET and HEAD, ``notModified(_:headers:)`` evaluates If-None-Match instead.
    ///
    /// - Parameter current: The response to a GET of the resource; nil if the resource does not exist. A resource without an ETag
    ///   matches `*`, but no tag.
    public func meetsPreconditions(of current: Response?) -> Bool {
        let tag = current?.headers[.eTag].flatMap(EntityTag.init(field:))
        func isListed(in name: HTTPField.Name, _ matches: (EntityTag, EntityTag) -> Bool) -> Bool {
            if headers.isAny(name) { return current != nil }
            return EntityTag.list(headers[values: name]).contains { listed in tag.map { matches(listed, $0) } ?? false }
        }
        if headers.contains(.ifMatch), !isListed(in: .ifMatch, { $0.matchesStrongly($1) }) { return false }
        guard headers.contains(.ifNoneMatch), method != .get, method != .head else { return true }
        return !isListed(in: .ifNoneMatch) { $0.matchesWeakly($1) }
    }
}

extension HTTPFields {
    /// Whether a condition is `*`, which any existing state matches.
    fileprivate func isAny(_ name: HTTPField.Name) -> Bool {
        self[values: name].contains { Array($0.utf8)[...].trimmingWhitespace.elementsEqual("*".utf8) }
    }
}
