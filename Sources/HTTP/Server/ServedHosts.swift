/// The hosts that a listener serves.
///
/// A loopback address is safe from other machines, but not from web pages in a browser on this machine: the name of a page's
/// server can be made to resolve to 127.0.0.1 (DNS rebinding), and the browser then treats this server as the page's origin. The
/// Host field still has the page's name. So a listener on a loopback address serves only names that nobody else can have, the
/// loopback addresses, and the names that its owner has configured.
///
/// Ports are not compared, because they differ behind a tunnel. X-Forwarded-Host is ignored, because a page can send it.
struct ServedHosts: Sendable {
    private let names: Set<HostName>
    private let isLoopback: Bool

    /// Without configured names, a listener that other machines can reach serves all hosts.
    init(_ names: [HostName], host: String, listeningOn address: SocketAddress) {
        isLoopback = IPAddress(address.host)?.isLoopback ?? false
        self.names = names.isEmpty && !isLoopback ? [] : Set(names + [HostName(host)].compactMap { $0 })
    }

    /// Only HTTP/1.0, which no browser uses, has requests without an authority.
    func contain(_ authority: String?) -> Bool {
        guard let authority, isLoopback || !names.isEmpty else { return true }
        guard let host = Authority(authority)?.host else { return false }
        if names.contains(host) { return true }
        // If other machines can reach the listener, health checks use its address. DNS rebinding needs a name.
        guard let address = host.address else { return host.isLocalhost }
        return isLoopback ? address.isLoopback : true
    }
}
