/// The host and port that a request is for, `uri-host [ ":" port ]`: the value of a Host field (RFC 9110 section 7.2).
struct Authority: Sendable, Equatable {
    let host: HostName
    /// Nil if the port is missing or empty, which RFC 3986 section 3.2.3 allows.
    let port: UInt16?

    /// - Returns: Nil if an http URI cannot have this authority: it has no host (RFC 9110 section 4.2.1), a user
    ///   (section 4.2.4), a malformed host, or a port beyond 65535.
    init?(_ bytes: ArraySlice<UInt8>) {
        let hostEnd: Int
        if bytes.first == UInt8(ascii: "[") {
            guard let bracket = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            hostEnd = bracket + 1
        } else {
            hostEnd = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
        }
        guard let host = HostName(bytes[..<hostEnd]) else { return nil }
        self.host = host
        let suffix = bytes[hostEnd...]
        let digits = suffix.dropFirst()
        guard suffix.isEmpty || suffix.first == UInt8(ascii: ":"), digits.allSatisfy(\.isDigit) else { return nil }
        port = UInt16(String(decoding: digits, as: UTF8.self))
        guard digits.isEmpty || port != nil else { return nil }
    }

    init?(_ text: String) { self.init(Array(text.utf8)[...]) }
}

/// The host of a URI (RFC 3986 section 3.2.2): an address, or a name that DNS or a hosts file resolves.
///
/// All spellings of the same host are equal: names in any case, with or without the root's dot, and addresses in any
/// abbreviation. Percent-encoded octets stay as they are; no name in use has any.
public struct HostName: Sendable, Hashable, CustomStringConvertible {
    private enum Kind: Hashable {
        /// ASCII in lower case, without a dot at the end.
        case name(String)
        case address(IPAddress)
    }

    private let kind: Kind

    /// - Parameter text: A name such as `tributary.example`, or an address; an IPv6 address with or without brackets.
    /// - Returns: Nil for any other text, such as a name with a port.
    public init?(_ text: String) {
        if let address = IPAddress(text) {
            self.init(kind: .address(address))
        } else {
            self.init(Array(text.utf8)[...])
        }
    }

    private init(kind: Kind) { self.kind = kind }

    /// Reads the host of an authority, in which IPv6 addresses are in brackets.
    init?(_ bytes: ArraySlice<UInt8>) {
        if bytes.first == UInt8(ascii: "[") {
            // Brackets can also hold addresses of future IP versions, which RFC 3986 tells a server to refuse.
            let inner = String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
            guard bytes.last == UInt8(ascii: "]"), inner.utf8.contains(UInt8(ascii: ":")),
                let address = IPAddress(inner)
            else { return nil }
            self.init(kind: .address(address))
            return
        }
        let name = bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes
        guard !name.isEmpty, name.allSatisfy(\.isHostCharacter), Self.isPercentEncoded(name) else { return nil }
        let text = name.lowercasedASCII
        self.init(kind: IPAddress(text).map(Kind.address) ?? .name(text))
    }

    private static func isPercentEncoded(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.indices.allSatisfy { index in
            guard bytes[index] == UInt8(ascii: "%") else { return true }
            let digits = bytes[(index + 1)...].prefix(2)
            return digits.count == 2 && digits.allSatisfy { $0.hexadecimalValue != nil }
        }
    }

    var address: IPAddress? {
        if case .address(let address) = kind { address } else { nil }
    }

    /// Whether the name is `localhost` or ends in `.localhost`. These names resolve to the machine itself, and nobody can
    /// register them (RFC 6761 section 6.3).
    var isLocalhost: Bool {
        guard case .name(let name) = kind else { return false }
        return name == "localhost" || name.hasSuffix(".localhost")
    }

    /// The name in lower case, or the address in its canonical form and without brackets.
    public var description: String {
        switch kind {
        case .name(let name): name
        case .address(let address): address.description
        }
    }
}
