import HTTPTypes

/// Names one state of a resource, so that a client need not fetch again what it has (RFC 9110 section 8.8.3).
///
/// A strong tag names one sequence of bytes. ``Compression`` sends other bytes for the same document, so it gives them a tag
/// of their own: `"abc"` becomes `"abc-gzip"`. Conditions are compared weakly and without that suffix, as both tags stand
/// for the same state; a 304 answers with the tag the client sent, and so renews what it has, in either coding.
public struct EntityTag: Sendable, Hashable, CustomStringConvertible {
    /// What stands between the quotes.
    public let opaque: String
    public let isWeak: Bool

    /// - Parameter opaque: Visible ASCII without quotes, such as a digest in hexadecimal; other characters are left out.
    public init(_ opaque: String, isWeak: Bool = false) {
        self.opaque = String(decoding: opaque.utf8.filter(Self.isAllowed), as: UTF8.self)
        self.isWeak = isWeak
    }

    /// Reads a tag as a field has it: `"abc"` or `W/"abc"`.
    init?(field: String) {
        var bytes = Array(field.utf8)[...]
        isWeak = bytes.starts(with: "W/".utf8)
        if isWeak { bytes = bytes.dropFirst(2) }
        guard bytes.count >= 2, bytes.popFirst() == UInt8(ascii: "\""), bytes.popLast() == UInt8(ascii: "\""),
            bytes.allSatisfy(Self.isAllowed)
        else { return nil }
        opaque = String(decoding: bytes, as: UTF8.self)
    }

    /// The tag as a field has it.
    public var description: String { "\(isWeak ? "W/" : "")\"\(opaque)\"" }

    /// `etagc`: visible characters but the quote. Bytes beyond ASCII, which the RFC allows, are never in ours.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        0x21...0x7E ~= byte && byte != UInt8(ascii: "\"")
    }

    private static let codings = ["gzip"]

    /// The tag of the same state in a content coding.
    func encoded(_ coding: String) -> EntityTag {
        isWeak ? self : EntityTag("\(opaque)-\(coding)")
    }

    /// What stands between the quotes, without a coding's suffix.
    private var state: String {
        for coding in Self.codings where opaque.hasSuffix("-\(coding)") {
            return String(opaque.dropLast(coding.count + 1))
        }
        return opaque
    }

    /// Whether two tags stand for the same state (RFC 9110 section 8.8.3.2, weak comparison).
    func matchesWeakly(_ other: EntityTag) -> Bool { state == other.state }

    /// Whether two tags stand for the same state, byte by byte in one of its codings (strong comparison).
    func matchesStrongly(_ other: EntityTag) -> Bool { !isWeak && !other.isWeak && state == other.state }

    /// The tags of a list such as If-None-Match has, over all its lines. What is no tag is left out.
    static func list(_ values: [String]) -> [EntityTag] {
        values.flatMap { value in
            var tags: [EntityTag] = []
            var rest = value[...]
            // A comma may stand within quotes, so the list cannot be split at commas.
            while let open = rest.firstIndex(of: "\"") {
                guard let close = rest[rest.index(after: open)...].firstIndex(of: "\"") else { break }
                let isWeak = rest[..<open].hasSuffix("W/")
                let text = (isWeak ? "W/" : "") + rest[open...close]
                if let tag = EntityTag(field: String(text)) { tags.append(tag) }
                rest = rest[rest.index(after: close)...]
            }
            return tags
        }
    }
}

extension Request {
    /// The 304 to answer where the client already has what it asks for; nil where it is to be sent.
    ///
    ///     let tag = EntityTag(result.digest)
    ///     if let response = request.notModified(tag) { return response }
    ///     return try .json(result.text(), headers: [.eTag: tag.description])
    ///
    /// - Parameters:
    ///   - tag: That of the current state.
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

    /// Whether the state that a resource is in is one that the request asks for (RFC 9110 sections 13.1.1 and 13.1.2).
    ///
    /// If-None-Match is a condition on what a request does only where it does something; for GET and HEAD it is ``notModified(_:headers:)``'s.
    ///
    /// - Parameter current: What a GET of the resource is answered with: nil where there is nothing to get. A resource without an ETag
    ///   is in some state, `*`, and in none that a tag could name.
    public func meetsPreconditions(of current: Response?) -> Bool {
        let tag = current?.headers[.eTag].flatMap(EntityTag.init(field:))
        if headers.contains(.ifMatch) {
            let isMet =
                headers.isAny(.ifMatch)
                ? current != nil
                : EntityTag.list(headers[values: .ifMatch]).contains { listed in
                    tag.map(listed.matchesStrongly) ?? false
                }
            guard isMet else { return false }
        }
        guard headers.contains(.ifNoneMatch), method != .get, method != .head else { return true }
        if headers.isAny(.ifNoneMatch) { return current == nil }
        return !EntityTag.list(headers[values: .ifNoneMatch]).contains { listed in
            tag.map(listed.matchesWeakly) ?? false
        }
    }
}

extension HTTPFields {
    /// Whether a condition is `*`: any state.
    fileprivate func isAny(_ name: HTTPField.Name) -> Bool {
        self[values: name].contains { Array($0.utf8)[...].trimmingWhitespace.elementsEqual("*".utf8) }
    }
}
