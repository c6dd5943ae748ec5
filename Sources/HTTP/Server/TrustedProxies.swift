import HTTPTypes

/// Finds the client behind reverse proxies, from the X-Forwarded fields that they add.
///
/// Any client can send these fields, so they are trusted only as far as each hop is known: from the socket's peer backwards
/// through X-Forwarded-For, up to and including the first address that is not a trusted proxy. The elements further left come
/// from that address, and can be forged. Without trusted proxies the fields are ignored.
public struct TrustedProxies: Sendable, Equatable {
    public var blocks: [AddressBlock]

    /// - Parameter blocks: The addresses from which the proxies connect.
    public init(_ blocks: [AddressBlock] = []) {
        self.blocks = blocks
    }

    struct Origin: Equatable {
        var client: SocketAddress
        var scheme: String
        var authority: String?
    }

    func contains(_ address: SocketAddress) -> Bool {
        guard !blocks.isEmpty, let address = IPAddress(address.host) else { return false }
        return blocks.contains { $0.contains(address) }
    }

    /// `direct` is the origin according to the connection itself.
    func origin(of fields: HTTPFields, direct: Origin) -> Origin {
        guard contains(direct.client) else { return direct }
        var origin = direct
        var hops = 0
        for element in Self.elements(of: "x-forwarded-for", in: fields).reversed() {
            guard contains(origin.client), let address = Self.address(element) else { break }
            origin.client = address
            hops += 1
        }
        // A proxy either replaces these two fields, or appends to them as it does to X-Forwarded-For. So a trusted proxy wrote the
        // element whose position from the right is the number of hops or, if there are fewer elements, the first one.
        if let scheme = Self.element(hop: hops, of: "x-forwarded-proto", in: fields)?.lowercased(),
            scheme == "http" || scheme == "https"
        {
            origin.scheme = scheme
        }
        if let host = Self.element(hop: hops, of: "x-forwarded-host", in: fields), Authority(host) != nil {
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

    /// Reads an address in the forms that proxies write, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
    /// `[2001:db8::1]:80`. Nil for any other text, such as `unknown`.
    private static func address(_ text: String) -> SocketAddress? {
        if let address = IPAddress(text) { return SocketAddress(host: "\(address)", port: 0) }
        let host: Substring
        let remainder: Substring
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            (host, remainder) = (text[..<end].dropFirst(), text[end...].dropFirst())
            guard host.contains(":") else { return nil }
        } else if let colon = text.firstIndex(of: ":") {
            (host, remainder) = (text[..<colon], text[colon...])
        } else {
            return nil
        }
        guard let address = IPAddress(host) else { return nil }
        if remainder.isEmpty { return SocketAddress(host: "\(address)", port: 0) }
        let digits = remainder.dropFirst()
        guard remainder.first == ":", digits.utf8.allSatisfy(\.isDigit), let port = UInt16(digits) else { return nil }
        return SocketAddress(host: "\(address)", port: port)
    }
}

/// A range of IPv4 or IPv6 addresses: one address, or a CIDR block such as `10.0.0.0/8` (RFC 4632, RFC 4291 section 2.3).
public struct AddressBlock: Sendable, Hashable, CustomStringConvertible {
    private let network: IPAddress
    private let prefixLength: Int

    /// - Parameter text: An address, or an address and a prefix length, such as `192.0.2.1`, `10.0.0.0/8`, `::1`, `fd00::/8`.
    /// - Returns: Nil for any other text, and if bits after the prefix are set, as in `10.0.0.1/8`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        let bits = address.bytes.count * 8
        var length = bits
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy(\.isDigit), let given = Int(parts[1]), given <= bits else { return nil }
            length = given
        }
        guard address.masked(to: length) == address else { return nil }
        (network, prefixLength) = (address, length)
    }

    func contains(_ address: IPAddress) -> Bool {
        address.bytes.count == network.bytes.count && address.masked(to: prefixLength) == network
    }

    public var description: String {
        "\(network)" + (prefixLength == network.bytes.count * 8 ? "" : "/\(prefixLength)")
    }
}
