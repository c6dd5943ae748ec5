/// The reason why a request was refused before it reached a handler.
///
/// After any of these the connection is closed, because it is no longer certain where the next message begins.
enum RequestRejection: Error, Equatable {
    /// The bytes are not a valid request (RFC 9112). The sentence says what was found and what was expected.
    case malformed(String)
    case targetTooLong(limit: Int)
    case headerTooLarge(limit: Int)
    case tooManyFields(limit: Int)
    case bodyTooLarge(limit: Int)
    case unknownExpectation(String)
    /// The request is for a resource of another scheme than the connection's (RFC 9110 section 7.4).
    case misdirected(scheme: String, expected: String)
    /// The request is for a host that this server does not serve.
    case unservedHost(String)
    case unknownTransferCoding(String)
    case tunnel
    case unsupportedVersion(String)
    case timedOut(Phase)
    /// The bodies of all current requests together exceed their limit.
    case overloaded
    /// The body arrived more slowly than others, which needed its memory.
    case displaced
    /// The client's address has more connections than one address is allowed.
    case tooManyConnections(limit: Int)

    /// The part of a request that the server was waiting for.
    enum Phase: Equatable {
        case header, body
    }
}
