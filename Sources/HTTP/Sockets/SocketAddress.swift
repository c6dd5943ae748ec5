import CLinux
import Glibc

/// The numeric address and port of one end of a TCP connection.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 address such as `127.0.0.1` or an IPv6 address such as `::1`, without brackets.
    public let host: String
    public let port: UInt16

    /// `127.0.0.1:8080` or `[::1]:8080`.
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// An IPv4 or IPv6 address as its four or sixteen bytes. All spellings of the same address are equal.
struct IPAddress: Sendable, Hashable, CustomStringConvertible {
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

    /// Whether the address always reaches the machine itself: 127.0.0.0/8 and ::1 (RFC 6890 section 2.2).
    var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

    /// The same address with every bit after the first `length` cleared.
    func masked(to length: Int) -> IPAddress {
        IPAddress(
            bytes: bytes.enumerated().map { index, byte in
                let kept = min(max(length - index * 8, 0), 8)
                return kept == 0 ? 0 : byte & (0xFF << UInt8(8 - kept))
            })
    }

    /// The address in its canonical form (RFC 5952).
    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        _ = bytes.withUnsafeBytes { inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) }
        return String(upToNUL: text)
    }
}

/// A socket address in the kernel's layout.
struct RawSocketAddress: Sendable {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    var family: Int32 { Int32(storage.ss_family) }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    mutating func withMutablePointer<Result>(
        _ body: (UnsafeMutablePointer<sockaddr_storage>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            withUnsafeMutablePointer(to: &length) { length in body(storage, length) }
        }
    }

    func with(port: UInt16) -> RawSocketAddress {
        var copy = self
        withUnsafeMutablePointer(to: &copy.storage) { pointer in
            // sin_port and sin6_port have the same offset.
            pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_port = port.bigEndian }
        }
        return copy
    }

    var socketAddress: SocketAddress {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let status = withPointer { pointer, length in
            getnameinfo(
                pointer, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
                NI_NUMERICHOST | NI_NUMERICSERV)
        }
        guard status == 0 else { return SocketAddress(host: "unknown", port: 0) }
        var name = String(upToNUL: host)
        // A dual-stack listener sees IPv4 peers as mapped addresses (RFC 4291 section 2.5.5.2).
        if name.hasPrefix("::ffff:"), name.contains(".") { name.removeFirst("::ffff:".count) }
        return SocketAddress(host: name, port: UInt16(String(upToNUL: service)) ?? 0)
    }

    /// The addresses that a server can listen on for a host name, in the resolver's order and without repetition.
    static func resolve(host: String, port: UInt16) throws(ResolutionError) -> [RawSocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var first: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &first)
        guard status == 0 else { throw ResolutionError(reason: String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(first) }

        var addresses: [RawSocketAddress] = []
        var seen: Set<SocketAddress> = []
        var next = first
        while let entry = next {
            next = entry.pointee.ai_next
            guard let source = entry.pointee.ai_addr else { continue }
            var address = RawSocketAddress()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutablePointer(to: &address.storage) { _ = memcpy($0, source, length) }
            address.length = socklen_t(length)
            if seen.insert(address.socketAddress).inserted { addresses.append(address) }
        }
        return addresses
    }
}

extension String {
    fileprivate init(upToNUL characters: [CChar]) {
        self.init(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

struct ResolutionError: Error, Equatable {
    let reason: String
}
