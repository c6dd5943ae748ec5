/// Is told what happens on a server's connections: for metrics, access logs, and whatever else watches.
///
/// The calls come from the threads that serve the sockets, one connection's in order and different connections' at once.
/// They must return quickly and never block: everyone on that thread waits.
public protocol ConnectionObserving: Sendable {
    /// A client has connected. Nothing is known yet but its address.
    func connectionOpened(from peer: SocketAddress)
    /// The connection has ended. Comes after its last request's report, and before the server's shutdown is over.
    func connectionClosed(_ report: ConnectionReport)
    /// A response has been handed to the kernel whole, or was cut off.
    func requestFinished(_ report: RequestReport)
}

extension ConnectionObserving {
    public func connectionOpened(from peer: SocketAddress) {}
    public func connectionClosed(_ report: ConnectionReport) {}
    public func requestFinished(_ report: RequestReport) {}
}

/// One connection, once it is over.
public struct ConnectionReport: Sendable, Equatable {
    /// Who was at the other end of the socket: the proxy's address where there is one.
    public var peer: SocketAddress
    /// From accepting to closing.
    public var duration: Duration
    /// Requests answered on it, those refused or cut off included.
    public var requests: Int
}
