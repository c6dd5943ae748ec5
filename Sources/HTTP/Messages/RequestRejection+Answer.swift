import HTTPTypes

/// What the client is answered.
extension RequestRejection: CustomStringConvertible {
    var kind: ProblemKind { answer.kind }
    var status: HTTPResponse.Status { kind.status }
    var description: String { answer.sentence }

    private var answer: (kind: ProblemKind, sentence: String) {
        switch self {
        case .malformed(let sentence):
            (.malformedRequest, sentence)
        case .targetTooLong(let limit):
            (.targetTooLong, "The request target is longer than \(limit) bytes: send long input in the body.")
        case .headerTooLarge(let limit):
            (.headerTooLarge, "The header section is larger than \(limit) bytes: send fewer or shorter fields.")
        case .tooManyFields(let limit):
            (.headerTooLarge, "The header section has more than \(limit) fields: send fewer.")
        case .bodyTooLarge(let limit):
            (.bodyTooLarge, "The body is larger than \(limit) bytes: send less, or in several requests.")
        case .unknownExpectation(let name):
            (.unknownExpectation, "The expectation \"\(name)\" is not supported: the only one is 100-continue.")
        case .misdirected(let scheme, let expected):
            (
                .misdirectedRequest,
                "The request target's scheme is \(scheme), but this connection serves \(expected)."
            )
        case .unservedHost(let host):
            (
                .misdirectedRequest,
                "This server does not serve the host \"\(host)\": use localhost or its address, or have the name added to its "
                    + "host names (server.host_names)."
            )
        case .unknownTransferCoding(let coding):
            (.unknownTransferCoding, "The transfer coding \"\(coding)\" is not implemented: the only one is chunked.")
        case .tunnel:
            (.noTunnels, "CONNECT is not implemented: this server opens no tunnels.")
        case .unsupportedVersion(let version):
            (.unsupportedVersion, "\(version) is not supported: send HTTP/1.1 or HTTP/1.0.")
        case .timedOut(.header):
            (.requestTimeout, "The request's header section did not arrive in time: send it right after connecting.")
        case .timedOut(.body):
            (.requestTimeout, "The request's body did not arrive in time: send it without pauses.")
        case .tooManyConnections(let limit):
            (
                .tooManyConnections,
                "Your address has more than \(limit) connections open: close some, or keep fewer and send more requests on each."
            )
        case .overloaded:
            (.unavailable, "The server holds as many request bodies as it can: try again when others are done.")
        case .displaced:
            (
                .unavailable,
                "The body arrived more slowly than others while the server held as many bytes of bodies as it can: try again."
            )
        }
    }
}
