import Glibc

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

/// An address as the four or sixteen bytes it stands for, so that all ways to write it are one.
struct AddressBytes: Sendable, Hashable, CustomStringConvertible {
    let bytes: [UInt8]

    /// - Parameter text: A numeric IPv4 or IPv6 address, without brackets, port or zone.
    init?(_ text: some StringProtocol) {
        let text = String(text)
        // C would stop reading at a NUL.
        guard !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            let all = withUnsafeBytes(of: &six) { Array($0) }
            // An IPv4 address that came through an IPv6 socket is that IPv4 address (RFC 4291 section 2.5.5.2).
            bytes = all.starts(with: Self.mappedPrefix) ? Array(all[12...]) : all
        } else {
            return nil
        }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private static let mappedPrefix = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

    /// The same address with every bit after the first `length` cleared.
    func masked(to length: Int) -> AddressBytes {
        AddressBytes(
            bytes: bytes.enumerated().map { index, byte in
                let kept = min(max(length - index * 8, 0), 8)
                return kept == 0 ? 0 : byte & (0xFF << UInt8(8 - kept))
            })
    }

    /// The address in its usual form (RFC 5952).
    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        _ = bytes.withUnsafeBytes { inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
