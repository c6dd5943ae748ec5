/// `uri-host [ ":" port ]`, whom a request is for: the value of a Host field (RFC 9110 section 7.2).
struct Authority: Sendable, Equatable {
    let host: HostName
    /// Nil where no port is given, or an empty one, which RFC 3986 section 3.2.3 allows.
    let port: UInt16?

    /// - Returns: Nil for what is no authority of an http URI: one without a host (RFC 9110 section 4.2.1), with a user
    ///   (section 4.2.4), with a malformed host, or with a port beyond 65535.
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
        let rest = bytes[hostEnd...]
        let digits = rest.dropFirst()
        guard rest.isEmpty || rest.first == UInt8(ascii: ":"), digits.allSatisfy(\.isDigit) else { return nil }
        port = UInt16(String(decoding: digits, as: UTF8.self))
        guard digits.isEmpty || port != nil else { return nil }
    }

    init?(_ text: String) { self.init(Array(text.utf8)[...]) }
}

/// The host of a URI (RFC 3986 section 3.2.2): an address, or a name that DNS or a hosts file knows.
///
/// Spellings of the same host are equal: names whatever their case and with the root's dot or without, addresses however they
/// are abbreviated. Percent-encoded octets, of which no name in use has any, are left as they are.
public struct HostName: Sendable, Hashable, CustomStringConvertible {
    private enum Kind: Hashable {
        /// ASCII in lower case, without a dot at the end.
        case name(String)
        case address(AddressBytes)
    }

    private let kind: Kind

    /// - Parameter text: A name such as `tributary.example`, or an address, of IPv6 within brackets or without.
    /// - Returns: Nil for anything else, such as a name with a port.
    public init?(_ text: String) {
        if let address = AddressBytes(text) {
            self.init(kind: .address(address))
        } else {
            self.init(Array(text.utf8)[...])
        }
    }

    private init(kind: Kind) { self.kind = kind }

    /// Reads a host as an authority has it, where IPv6 addresses stand within brackets.
    init?(_ bytes: ArraySlice<UInt8>) {
        if bytes.first == UInt8(ascii: "[") {
            // What else brackets could hold are addresses of versions to come, which RFC 3986 has a server refuse.
            let inner = String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
            guard bytes.last == UInt8(ascii: "]"), inner.utf8.contains(UInt8(ascii: ":")),
                let address = AddressBytes(inner)
            else { return nil }
            self.init(kind: .address(address))
            return
        }
        let name = bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes
        guard !name.isEmpty, name.allSatisfy(\.isHostCharacter), Self.isPercentEncoded(name) else { return nil }
        let text = name.lowercasedASCII
        self.init(kind: AddressBytes(text).map(Kind.address) ?? .name(text))
    }

    /// Whether two hexadecimal digits follow each percent sign.
    private static func isPercentEncoded(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.indices.allSatisfy { index in
            guard bytes[index] == UInt8(ascii: "%") else { return true }
            let digits = bytes[(index + 1)...].prefix(2)
            return digits.count == 2 && digits.allSatisfy { $0.hexadecimalValue != nil }
        }
    }

    /// The address, where the host is one.
    var address: AddressBytes? {
        if case .address(let address) = kind { address } else { nil }
    }

    /// Whether the name is `localhost` or ends in `.localhost`: names that lead to the machine itself, and that nobody can
    /// register (RFC 6761 section 6.3).
    var isLocalhost: Bool {
        guard case .name(let name) = kind else { return false }
        return name == "localhost" || name.hasSuffix(".localhost")
    }

    /// The host in lower case, and an address in its usual form and without brackets.
    public var description: String {
        switch kind {
        case .name(let name): name
        case .address(let address): address.description
        }
    }
}
