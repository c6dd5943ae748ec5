import Foundation
import Glibc

/// A blocking HTTP client that sends exactly the given bytes.
///
/// One thread can send while another reads. A call that waits longer than a minute throws, so that a test fails instead of hanging.
final class RawClient: @unchecked Sendable {
    private var descriptor: Int32
    private var received: [UInt8] = []
    private(set) var tls: ClientTLS?

    enum Failure: Error, Equatable {
        case cannotConnect(Int32)
        case cannotSend(Int32)
        case timedOut
        case closed(after: String)
        case reset
        case malformed(String)
    }

    init(
        port: UInt16, host: String = "127.0.0.1", receiveBuffer: Int32? = nil, tls settings: ClientTLS.Settings? = nil
    ) throws {
        let isIPv6 = host.contains(":")
        descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let status: Int32
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            inet_pton(AF_INET6, host, &address.sin6_addr)
            status = Self.connect(descriptor, to: address)
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            inet_pton(AF_INET, host, &address.sin_addr)
            status = Self.connect(descriptor, to: address)
        }
        guard status == 0 else {
            let code = errno
            Glibc.close(descriptor)
            descriptor = -1
            throw Failure.cannotConnect(code)
        }
        if let settings { tls = try ClientTLS(descriptor: descriptor, settings: settings) }
    }

    private static func connect<Address>(_ descriptor: Int32, to address: Address) -> Int32 {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }

    deinit { close() }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }

    /// Closes with a reset instead of an orderly end.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func finishSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        if let tls { return try tls.send(bytes) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard sent > 0 else { throw Failure.cannotSend(errno) }
            rest = rest.dropFirst(sent)
        }
    }

    /// Reads more bytes. Returns false at the end of the stream.
    private func fill() throws -> Bool {
        if let tls {
            let bytes = try tls.receive(upTo: 64 << 10)
            received += bytes
            return !bytes.isEmpty
        }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { throw errno == ECONNRESET ? Failure.reset : Failure.timedOut }
        received += buffer[..<count]
        return count > 0
    }

    func readLine() throws -> String {
        while true {
            if let end = received.firstIndex(of: 10) {
                defer { received.removeFirst(end + 1) }
                let line = String(decoding: received[..<end], as: UTF8.self)
                guard line.hasSuffix("\r\n") || line.hasSuffix("\r") else { throw Failure.malformed(line) }
                return String(line.dropLast())
            }
            guard try fill() else { throw Failure.closed(after: String(decoding: received, as: UTF8.self)) }
        }
    }

    func read(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard try fill() else { throw Failure.closed(after: String(decoding: received, as: UTF8.self)) }
        }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    func readToEnd() throws -> [UInt8] {
        while try fill() {}
        defer { received = [] }
        return received
    }

    /// Whether the server has closed the connection and sent nothing more.
    func isAtEnd() throws -> Bool {
        try received.isEmpty && !fill()
    }

    /// Reads one response.
    ///
    /// - Parameter method: HEAD has no body, whatever the fields say.
    func response(to method: String = "GET") throws -> RawResponse {
        let statusLine = try readLine().split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard statusLine.count == 3, statusLine[0] == "HTTP/1.1", let status = Int(statusLine[1]) else {
            throw Failure.malformed(statusLine.joined(separator: " "))
        }
        var response = RawResponse(status: status)
        while case let line = try readLine(), !line.isEmpty {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { throw Failure.malformed(line) }
            response.headers[parts[0].lowercased(), default: []].append(
                parts[1].trimmingCharacters(in: .whitespaces))
        }
        if method == "HEAD" || status < 200 || status == 204 || status == 304 { return response }
        if response["transfer-encoding"] == "chunked" {
            while true {
                guard let size = Int(try readLine(), radix: 16) else { throw Failure.malformed("chunk size") }
                let data = try read(size)
                guard try readLine().isEmpty else { throw Failure.malformed("chunk end") }
                if size == 0 { return response }
                response.chunks.append(data)
            }
        }
        if let length = response["content-length"].flatMap({ Int($0) }) {
            response.chunks = [try read(length)]
        } else {
            response.chunks = [try readToEnd()]
        }
        return response
    }

    /// Sends a request and reads its response.
    func exchange(_ request: String, method: String = "GET") throws -> RawResponse {
        try send(request)
        return try response(to: method)
    }
}

/// A response as it was on the wire.
struct RawResponse {
    var status: Int
    var headers: [String: [String]] = [:]
    var chunks: [[UInt8]] = []

    init(status: Int) { self.status = status }

    var body: String { String(decoding: chunks.joined(), as: UTF8.self) }

    subscript(name: String) -> String? { headers[name]?.joined(separator: ", ") }

    /// The `type` member of a problem.
    var problem: String? { problemMember("type") }

    /// The `detail` member of a problem.
    var detail: String? { problemMember("detail") }

    private func problemMember(_ name: String) -> String? {
        guard self["content-type"] == "application/problem+json",
            let object = try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
        else { return nil }
        return object[name] as? String
    }
}
