import HTTPTypes

struct RequestHead: Sendable, Equatable {
    var method: HTTPRequest.Method
    var target: RequestTarget
    /// The host the request is for; nil only in HTTP/1.0, where Host is optional.
    var authority: String?
    var fields: HTTPFields
    var version: HTTPVersion
    var framing: BodyFraming
    /// Whether the client wants to send more requests on the connection (RFC 9112 section 9.3).
    var keepsAlive: Bool
    /// Whether the client waits for 100 Continue before it sends the body (RFC 9110 section 10.1.1).
    var expectsContinue: Bool
}

enum HTTPVersion: Sendable, Equatable {
    case http10
    /// HTTP/1.1, and any later minor version, which a server treats as the latest one it supports (RFC 9110 section 2.5).
    case http11
}

/// How a request's body is delimited (RFC 9112 section 6.3).
enum BodyFraming: Sendable, Equatable {
    case none
    case length(Int)
    case chunked
}

struct RequestHeadBuilder: Sendable {
    private let limits: RequestLimits
    private let scheme: String
    private let method: HTTPRequest.Method
    private let target: RequestTarget
    private let version: HTTPVersion
    private var fields = HTTPFields()
    private(set) var meter: FieldSectionMeter

    /// - Parameter line: The request line without its line end: `method SP request-target SP HTTP-version`
    ///   (RFC 9112 section 3).
    init(requestLine line: [UInt8], scheme: String, limits: RequestLimits) throws(RequestRejection) {
        // Section 3 lets a server split at any whitespace, which has made request lines ambiguous in the past.
        let parts = line.split(separator: .space, omittingEmptySubsequences: false)
        guard parts.count == 3 else {
            throw .malformed("The request line is not a method, a target and a version with one space between each.")
        }
        guard parts[0].isToken, let method = HTTPRequest.Method(String(decoding: parts[0], as: UTF8.self)) else {
            throw .malformed("The method has a character that is not allowed in methods.")
        }
        version = try Self.version(parts[2])
        guard parts[1].count <= limits.targetBytes else { throw .targetTooLong(limit: limits.targetBytes) }
        guard method != .connect else { throw .tunnel }
        target = try RequestTarget(parts[1], method: method.rawValue)
        if let other = target.scheme, other != scheme { throw .misdirected(scheme: other, expected: scheme) }
        self.method = method
        self.scheme = scheme
        self.limits = limits
        meter = FieldSectionMeter(limits: limits)
    }

    /// `"HTTP/" DIGIT "." DIGIT` (RFC 9112 section 2.3).
    private static func version(_ bytes: ArraySlice<UInt8>) throws(RequestRejection) -> HTTPVersion {
        let digits = Array(bytes.dropFirst(5))
        guard bytes.starts(with: "HTTP/".utf8), digits.count == 3, digits[0].isDigit, digits[1] == UInt8(ascii: "."),
            digits[2].isDigit
        else { throw .malformed("The request line does not end with a version such as HTTP/1.1.") }
        guard digits[0] == UInt8(ascii: "1") else { throw .unsupportedVersion(String(decoding: bytes, as: UTF8.self)) }
        return digits[2] == UInt8(ascii: "0") ? .http10 : .http11
    }

    mutating func add(_ line: [UInt8]) throws(RequestRejection) {
        try meter.count(line)
        fields.append(try FieldLine(line).field)
    }

    /// The complete head. Must be called after the empty line that ends the section.
    func head() throws(RequestRejection) -> RequestHead {
        let connection = fields.tokens(of: .connection)
        let expectations = version == .http10 ? [] : fields.tokens(of: .expect)
        if let unknown = expectations.first(where: { $0 != "100-continue" }) {
            throw .unknownExpectation(unknown)
        }
        return RequestHead(
            method: method,
            target: target,
            authority: try authority(),
            fields: fields,
            version: version,
            framing: try framing(),
            keepsAlive: !connection.contains("close") && (version == .http11 || connection.contains("keep-alive")),
            expectsContinue: !expectations.isEmpty)
    }

    /// HTTP/1.1 requires one valid Host field, and no version allows more than one (RFC 9112 section 3.2).
    private func authority() throws(RequestRejection) -> String? {
        let hosts = fields.filter { $0.name.canonicalName == "host" }.map(\.value)
        guard hosts.count <= 1 else { throw .malformed("The request has more than one Host field.") }
        guard let host = hosts.first else {
            guard version == .http10 else { throw .malformed("The request has no Host field.") }
            return target.authority
        }
        guard Authority(host) != nil else {
            throw .malformed("The Host field is not a host with an optional port.")
        }
        // RFC 9112 section 3.2.2: the host of an absolute-form target replaces the Host field.
        return target.authority ?? host
    }

    /// Decides where the body ends (RFC 9112 section 6.3), and refuses framing that two parsers could read differently.
    private func framing() throws(RequestRejection) -> BodyFraming {
        let lengths = fields[values: .contentLength]
        guard fields.contains(.transferEncoding) else { return try framing(contentLengths: lengths) }

        // Section 6.3, rule 3: both together "might indicate an attempt to perform request smuggling".
        guard lengths.isEmpty else {
            throw .malformed("The request has both Transfer-Encoding and Content-Length: send one of them.")
        }
        // Section 6.1: a transfer coding in HTTP/1.0 means that the framing is faulty.
        guard version == .http11 else { throw .malformed("HTTP/1.0 has no Transfer-Encoding: send Content-Length.") }
        let codings = fields.tokens(of: .transferEncoding)
        if let unknown = codings.first(where: { $0 != "chunked" }) { throw .unknownTransferCoding(unknown) }
        // Section 6.1: chunked is applied once, as the last coding; without it the body's end would be unknown. Empty list
        // elements are harmless in other fields, but refused here.
        guard fields[values: .transferEncoding].map(\.utf8.count) == ["chunked".utf8.count] else {
            throw .malformed("Transfer-Encoding must be \"chunked\", once.")
        }
        return .chunked
    }

    private func framing(contentLengths values: [String]) throws(RequestRejection) -> BodyFraming {
        guard let value = values.first else {
            // Section 6.3, rule 7: a request with neither field has no body.
            return .none
        }
        // Section 6.3, rule 5 allows repeated equal values, but a client that sends them is broken or hostile.
        guard values.count == 1 else { throw .malformed("The request has more than one Content-Length field.") }
        guard !value.isEmpty, value.utf8.allSatisfy(\.isDigit) else {
            throw .malformed("The Content-Length is not a decimal number.")
        }
        // Digits that do not fit into an Int are too large for any limit.
        guard let length = Int(value), length <= limits.bodyBytes else { throw .bodyTooLarge(limit: limits.bodyBytes) }
        return .length(length)
    }
}

extension HTTPFields {
    /// The elements of a comma-separated field in lower case, over all its lines (RFC 9110 section 5.6.1).
    func tokens(of name: HTTPField.Name) -> [String] {
        guard contains(name) else { return [] }
        return self[values: name].flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ",")).map { Array($0)[...].trimmingWhitespace.lowercasedASCII }
                .filter { !$0.isEmpty }
        }
    }
}
