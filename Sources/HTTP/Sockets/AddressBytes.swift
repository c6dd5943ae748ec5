import Glibc

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

    /// Whether only the machine itself reaches the address: 127.0.0.0/8 and ::1 (RFC 6890 section 2.2).
    var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

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
