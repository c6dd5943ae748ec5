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
