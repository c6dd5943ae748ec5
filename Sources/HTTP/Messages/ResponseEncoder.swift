import Glibc
import HTTPTypes
import Synchronization

/// Writes a response's status line and header section (RFC 9112 sections 4 and 5).
struct ResponseEncoder {
    /// How the client learns where the body ends (RFC 9112 section 6.3).
    enum Framing: Equatable {
        /// A response of this status has neither a body nor a Content-Length (RFC 9110 section 8.6).
        case none
        case length(Int)
        case chunked
        /// The body ends with the connection, for HTTP/1.0 clients, which do not support chunks.
        case close
    }

    let response: Response
    let request: RequestContext
    let framing: Framing
    let keepsAlive: Bool

    struct RequestContext {
        var isHead: Bool
        var version: HTTPVersion
        var identifier: String
    }

    init(_ response: Response, to request: RequestContext, keepsAlive: Bool) {
        self.response = response
        self.request = request
        let framing: Framing =
            switch response.body {
            // RFC 9110 sections 6.4.1 and 15: informational, No Content and Not Modified responses have no body.
            case _ where response.status.code < 200 || [204, 304].contains(response.status.code): .none
            case .bytes(let bytes): .length(bytes.count)
            case .stream where request.version == .http10: .close
            case .stream: .chunked
            }
        self.framing = framing
        self.keepsAlive = keepsAlive && framing != .close
    }

    /// Whether the body's bytes follow the head. After HEAD none do (RFC 9110 section 9.3.2).
    var sendsBody: Bool { !request.isHead && framing != .none }

    /// Fields that the connection sets, not the handler.
    private static let ownFields: Set<HTTPField.Name> = [
        .contentLength, .transferEncoding, .connection, .date, .upgrade, .trailer,
    ]

    func head(date: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        // RFC 9110 section 2.5: the version is the server's own, even if the client's is older.
        bytes.append(contentsOf: "HTTP/1.1 \(response.status.code) \(response.status.reasonPhrase)\r\n".utf8)
        bytes.append(contentsOf: "Date: \(date)\r\n".utf8)
        bytes.append(contentsOf: "X-Request-Id: \(request.identifier)\r\n".utf8)
        switch framing {
        case .none, .close: break
        case .length(let length): bytes.append(contentsOf: "Content-Length: \(length)\r\n".utf8)
        case .chunked: bytes.append(contentsOf: "Transfer-Encoding: chunked\r\n".utf8)
        }
        if !keepsAlive {
            bytes.append(contentsOf: "Connection: close\r\n".utf8)
        } else if request.version == .http10 {
            bytes.append(contentsOf: "Connection: keep-alive\r\n".utf8)
        }
        for field in response.headers where !Self.ownFields.contains(field.name) {
            bytes.append(contentsOf: "\(field.name.rawName): \(field.value)\r\n".utf8)
        }
        bytes.append(contentsOf: "\r\n".utf8)
        return bytes
    }

    /// The buffers for one chunk of a streamed body, framed as the head announced. There are none for empty data, because an
    /// empty chunk would end the body.
    static func frame(_ data: [UInt8], as framing: Framing) -> [[UInt8]] {
        guard !data.isEmpty else { return [] }
        guard framing == .chunked else { return [data] }
        return [Array("\(String(data.count, radix: 16))\r\n".utf8), data, [.carriageReturn, .lineFeed]]
    }

    static func end(of framing: Framing) -> [UInt8] {
        framing == .chunked ? Array("0\r\n\r\n".utf8) : []
    }
}

/// The format of a Date field: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Parameter seconds: Seconds since 1970, UTC.
    static func format(seconds: Int) -> String {
        var time = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return format(seconds: 0) }
        let date = "\(padded(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + Int(parts.tm_year))"
        let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
        return "\(days[Int(parts.tm_wday)]), \(date) \(clock) GMT"
    }

    private static func padded(_ value: Int32) -> String {
        value < 10 ? "0\(value)" : "\(value)"
    }
}

/// The current date, which is formatted again only when the second changes.
final class DateCache: Sendable {
    private let latest = Mutex((seconds: -1, text: ""))

    var current: String {
        latest.withLock { latest in
            let now = Glibc.time(nil)
            if now != latest.seconds { latest = (now, HTTPDate.format(seconds: now)) }
            return latest.text
        }
    }
}
