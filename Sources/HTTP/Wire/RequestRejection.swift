import Foundation
import HTTPTypes

/// Why a request was refused before a handler saw it.
///
/// After any of these the connection is closed: where one message ends and the next begins is no longer certain.
enum RequestRejection: Error, Equatable {
    /// The bytes are not a request that RFC 9112 allows. The sentence says what was found and what was expected.
    case malformed(String)
    case targetTooLong(limit: Int)
    case headerTooLarge(limit: Int)
    case tooManyFields(limit: Int)
    case bodyTooLarge(limit: Int)
    case unknownExpectation(String)
    /// The request asks for a resource of another scheme than the connection's (RFC 9110 section 7.4).
    case misdirected(scheme: String, expected: String)
    /// The request is for a host that this server does not answer for.
    case unservedHost(String)
    case unknownTransferCoding(String)
    case tunnel
    case unsupportedVersion(String)
    case timedOut(Phase)
    /// The bodies of all requests under way are together over their limit.
    case overloaded
    /// The body came more slowly than others, and their bytes needed its memory.
    case displaced
    /// The client's address has as many connections as it may.
    case tooManyConnections(limit: Int)

    /// What the server was waiting for.
    enum Phase: Equatable {
        case header, body
    }
}

extension RequestRejection: LocalizedError, CustomStringConvertible {
    var status: HTTPResponse.Status {
        switch self {
        case .malformed: .badRequest
        case .targetTooLong: .uriTooLong
        case .headerTooLarge, .tooManyFields: .requestHeaderFieldsTooLarge
        case .bodyTooLarge: .contentTooLarge
        case .unknownExpectation: .expectationFailed
        case .misdirected, .unservedHost: .misdirectedRequest
        case .unknownTransferCoding, .tunnel: .notImplemented
        case .unsupportedVersion: .httpVersionNotSupported
        case .timedOut: .requestTimeout
        case .overloaded, .displaced, .tooManyConnections: .serviceUnavailable
        }
    }

    var description: String {
        switch self {
        case .malformed(let sentence):
            sentence
        case .targetTooLong(let limit):
            "The request target is longer than \(limit) bytes: send long input in the body."
        case .headerTooLarge(let limit):
            "The header section is larger than \(limit) bytes: send fewer or shorter fields."
        case .tooManyFields(let limit):
            "The header section has more than \(limit) fields: send fewer."
        case .bodyTooLarge(let limit):
            "The body is larger than \(limit) bytes: send less, or in several requests."
        case .unknownExpectation(let expectation):
            "The expectation \"\(expectation)\" is not known: the only one is 100-continue."
        case .misdirected(let scheme, let expected):
            "The request target's scheme is \(scheme), but this connection serves \(expected)."
        case .unservedHost(let host):
            "This server does not answer for the host \"\(host)\": ask for localhost or for its address, or have the name added "
                + "to its host names (server.host_names)."
        case .unknownTransferCoding(let coding):
            "The transfer coding \"\(coding)\" is not implemented: the only one is chunked."
        case .tunnel:
            "CONNECT is not implemented: this server opens no tunnels."
        case .unsupportedVersion(let version):
            "\(version) is not supported: send HTTP/1.1 or HTTP/1.0."
        case .timedOut(.header):
            "The request's header section did not arrive in time: send it at once after connecting."
        case .timedOut(.body):
            "The request's body did not arrive in time: send it without pauses."
        case .tooManyConnections(let limit):
            "Your address has more than \(limit) connections open: close some, or keep fewer and send more requests on each."
        case .overloaded:
            "The server holds as many request bodies as it can: try again when others are done."
        case .displaced:
            "The body came more slowly than others while the server held as many bytes of bodies as it can: try again."
        }
    }

    var errorDescription: String? { description }
}
