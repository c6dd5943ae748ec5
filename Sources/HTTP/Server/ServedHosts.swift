/// The hosts that a listener answers for.
///
/// An address that only this machine reaches is safe from other machines and not from web pages in a browser on it: a page's
/// own name can be made to lead to 127.0.0.1 (DNS rebinding), and the browser then takes the server for the page's origin. The
/// Host field still has the page's name. So a listener on a loopback address answers for names that nobody else can have, for
/// the loopback addresses, and for names that its owner has given.
///
/// Ports are not compared: behind a tunnel they differ. What X-Forwarded-Host says is not asked either, as a page can send it.
struct ServedHosts: Sendable {
    private let names: Set<HostName>
    private let isLoopback: Bool

    /// - Parameters:
    ///   - names: The owner's names. Without any, a listener that other machines reach answers for all.
    ///   - host: What the listener was told to listen on.
    ///   - address: Where it listens.
    init(_ names: [HostName], host: String, listeningOn address: SocketAddress) {
        isLoopback = AddressBytes(address.host)?.isLoopback ?? false
        self.names = names.isEmpty && !isLoopback ? [] : Set(names + [HostName(host)].compactMap { $0 })
    }

    /// - Parameter authority: The Host field, or the authority of an absolute-form target. Without one the request is of
    ///   HTTP/1.0, which no browser speaks.
    func contain(_ authority: String?) -> Bool {
        guard let authority, isLoopback || !names.isEmpty else { return true }
        guard let host = Authority(authority)?.host else { return false }
        if names.contains(host) { return true }
        // Where other machines reach the listener, health checks ask for its address: no name leads to a bare address.
        guard let address = host.address else { return host.isLocalhost }
        return isLoopback ? address.isLoopback : true
    }
}
