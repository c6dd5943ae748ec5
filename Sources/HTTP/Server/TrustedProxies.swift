import HTTPTypes

/// Finds the client behind reverse proxies, in the X-Forwarded fields that they add.
///
/// Anyone can send these fields, so they are believed only as far as each hop is known: from the socket's peer backwards
/// through X-Forwarded-For, up to and with the first address that is no trusted proxy. What stands further left was written
/// by that address, and may be made up. Without trusted proxies the fields mean nothing.
public struct TrustedProxies: Sendable, Equatable {
    public var blocks: [AddressBlock]

    /// - Parameter blocks: Where the proxies connect from.
    public init(_ blocks: [AddressBlock] = []) {
        self.blocks = blocks
    }

    /// Who made a request, and how they addressed it.
    struct Origin: Equatable {
        var client: SocketAddress
        var scheme: String
        var authority: String?
    }

    /// Whether an address is a proxy's.
    func contains(_ address: SocketAddress) -> Bool {
        guard !blocks.isEmpty, let bytes = AddressBytes(address.host) else { return false }
        return blocks.contains { $0.contains(bytes) }
    }

    /// The origin of a request.
    ///
    /// - Parameter direct: What the connection itself says.
    func origin(of fields: HTTPFields, direct: Origin) -> Origin {
        guard contains(direct.client) else { return direct }
        var origin = direct
        var hops = 0
        for element in Self.elements(of: "x-forwarded-for", in: fields).reversed() {
            guard contains(origin.client), let address = Self.address(element) else { break }
            origin.client = address
            hops += 1
        }
        // A proxy either replaces these two or adds to them, as it adds to X-Forwarded-For: so the element as many places
        // from the right as hops were taken is by a proxy, and where there are fewer, the first is.
        if let scheme = Self.element(hop: hops, of: "x-forwarded-proto", in: fields)?.lowercased(),
            scheme == "http" || scheme == "https"
        {
            origin.scheme = scheme
        }
        if let host = Self.element(hop: hops, of: "x-forwarded-host", in: fields),
            Authority(host) != nil
        {
            origin.authority = host
        }
        return origin
    }

    private static func element(hop: Int, of name: String, in fields: HTTPFields) -> String? {
        let elements = elements(of: name, in: fields)
        return elements.isEmpty ? nil : elements[max(elements.count - max(hop, 1), 0)]
    }

    /// The elements of a comma-separated field, over all its lines.
    private static func elements(of name: String, in fields: HTTPFields) -> [String] {
        fields.filter { $0.name.canonicalName == name }.flatMap { field in
            field.value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
                String(decoding: Array($0)[...].trimmingWhitespace, as: UTF8.self)
            }
        }
    }

    /// An address as proxies write it, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
    /// `[2001:db8::1]:80`. Nil for `unknown` and whatever else is none.
    private static func address(_ text: String) -> SocketAddress? {
        if let bytes = AddressBytes(text) { return SocketAddress(host: "\(bytes)", port: 0) }
        let host: Substring
        let rest: Substring
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            (host, rest) = (text[..<end].dropFirst(), text[end...].dropFirst())
            guard host.contains(":") else { return nil }
        } else if let colon = text.firstIndex(of: ":") {
            (host, rest) = (text[..<colon], text[colon...])
        } else {
            return nil
        }
        guard let bytes = AddressBytes(host) else { return nil }
        if rest.isEmpty { return SocketAddress(host: "\(bytes)", port: 0) }
        guard rest.first == ":", rest.dropFirst().utf8.allSatisfy(\.isDigit), let port = UInt16(rest.dropFirst()) else {
            return nil
        }
        return SocketAddress(host: "\(bytes)", port: port)
    }
}

/// A range of IPv4 or IPv6 addresses: one address, or a CIDR block such as `10.0.0.0/8` (RFC 4632, RFC 4291 section 2.3).
public struct AddressBlock: Sendable, Hashable, CustomStringConvertible {
    private let network: AddressBytes
    private let prefixLength: Int

    /// - Parameter text: An address, or an address and a prefix's length, as `192.0.2.1`, `10.0.0.0/8`, `::1`, `fd00::/8`.
    /// - Returns: Nil where the text is anything else, and where bits after the prefix are set, as in `10.0.0.1/8`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = AddressBytes(first) else { return nil }
        let bits = address.bytes.count * 8
        var length = bits
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy(\.isDigit), let given = Int(parts[1]), given <= bits else { return nil }
            length = given
        }
        guard address.masked(to: length) == address else { return nil }
        (network, prefixLength) = (address, length)
    }

    public func contains(_ address: SocketAddress) -> Bool {
        AddressBytes(address.host).map(contains) ?? false
    }

    func contains(_ address: AddressBytes) -> Bool {
        address.bytes.count == network.bytes.count && address.masked(to: prefixLength) == network
    }

    public var description: String {
        "\(network)" + (prefixLength == network.bytes.count * 8 ? "" : "/\(prefixLength)")
    }
}
