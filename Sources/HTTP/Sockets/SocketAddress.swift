import CLinux
import Glibc

/// The numeric address and port of one end of a TCP connection.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 address such as `127.0.0.1` or an IPv6 address such as `::1`, without brackets.
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `127.0.0.1:8080` or `[::1]:8080`.
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// A socket address as the kernel has it.
struct RawSocketAddress: Sendable {
    fileprivate(set) var storage = sockaddr_storage()
    fileprivate(set) var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    var family: Int32 { Int32(storage.ss_family) }

    /// Lets a system call read the address.
    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// Lets a system call fill in the address.
    mutating func withMutablePointer<Result>(
        _ body: (UnsafeMutablePointer<sockaddr_storage>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            withUnsafeMutablePointer(to: &length) { length in body(storage, length) }
        }
    }

    /// The same address with another port.
    func with(port: UInt16) -> RawSocketAddress {
        var copy = self
        withUnsafeMutablePointer(to: &copy.storage) { pointer in
            // sin_port and sin6_port share their place after the family.
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
        var name = string(host)
        // A dual-stack listener sees IPv4 peers as mapped addresses (RFC 4291 section 2.5.5.2).
        if name.hasPrefix("::ffff:"), name.contains(".") { name.removeFirst("::ffff:".count) }
        return SocketAddress(host: name, port: UInt16(string(service)) ?? 0)
    }

    private func string(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The addresses a server may listen on for a host name, in the resolver's order and without repetition.
    ///
    /// - Throws: ``ResolutionError`` with the resolver's own words when the name is unknown.
    static func resolve(host: String, port: UInt16) throws(ResolutionError) -> [RawSocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var first: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &first)
        guard status == 0 else {
            throw ResolutionError(reason: String(cString: gai_strerror(status)))
        }
        defer { freeaddrinfo(first) }

        var addresses: [RawSocketAddress] = []
        var seen: Set<SocketAddress> = []
        var next = first
        while let entry = next {
            var address = RawSocketAddress()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            if let source = entry.pointee.ai_addr {
                withUnsafeMutablePointer(to: &address.storage) { _ = memcpy($0, source, length) }
                address.length = socklen_t(length)
                if seen.insert(address.socketAddress).inserted { addresses.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return addresses
    }
}

/// A host name that the resolver does not know.
struct ResolutionError: Error, Equatable {
    let reason: String
}
