import Foundation
import Glibc

/// Why a server could not start.
public enum HTTPServerError: Error, Sendable, Equatable {
    case addressInUse(host: String, port: UInt16)
    case permissionDenied(host: String, port: UInt16)
    case unknownHost(String, reason: String)
    case addressNotAvailable(host: String)
    case alreadyStarted
    /// The certificate or its key cannot be used.
    case tls(TLSError)
    /// Any other failed system call, with its `errno`.
    case system(call: String, code: Int32)

    init(_ error: SystemError, host: String, port: UInt16) {
        self =
            switch error.code {
            case EADDRINUSE: .addressInUse(host: host, port: port)
            case EACCES, EPERM: .permissionDenied(host: host, port: port)
            case EADDRNOTAVAIL, EAFNOSUPPORT: .addressNotAvailable(host: host)
            default: .system(call: error.call, code: error.code)
            }
    }
}

extension HTTPServerError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case .addressInUse(let host, let port):
            "Port \(port) on \(host) is taken by another process: stop that one or choose another port."
        case .permissionDenied(let host, let port):
            "Listening on port \(port) of \(host) is not permitted: choose a port from 1024 upwards, or give the process "
                + "the capability CAP_NET_BIND_SERVICE."
        case .unknownHost(let host, let reason):
            "The host \"\(host)\" cannot be resolved (\(reason)): give an address of this machine, or 0.0.0.0 for all."
        case .addressNotAvailable(let host):
            "The host \"\(host)\" is not an address of this machine: give one that is, or 0.0.0.0 for all."
        case .alreadyStarted:
            "The server has been started before: make a new one."
        case .tls(let error):
            error.description
        case .system(let call, let code):
            "The server cannot start: \(SystemError(call: call, code: code))."
        }
    }

    public var errorDescription: String? { description }
}
