import Foundation
import JSON

/// JSON text of a value, with the same order of fields each time; metadata in it is as it came.
func jsonText(_ value: some Encodable) throws -> String { try JSONTreeEncoder.tree(of: value).text }

extension Date {
    init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1_000) }

    /// Milliseconds since 1970.
    var milliseconds: Int64 { Int64((timeIntervalSince1970 * 1_000).rounded()) }

    /// The time cut to whole milliseconds, as it is kept.
    var inMilliseconds: Date { Date(milliseconds: milliseconds) }

    /// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
    var rfc3339: String {
        // The C library's calendar: Foundation's formats take longer than the rest of a log line together.
        var (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        if rest < 0 { (seconds, rest) = (seconds - 1, rest + 1_000) }
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func padded(_ number: Int32, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
        let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
        return "\(date)T\(clock).\(padded(Int32(rest), 3))Z"
    }
}

extension String {
    /// The text, or as much of its beginning as has no more bytes in UTF-8, with an ellipsis behind it.
    func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(startIndex, offsetBy: max(0, limit - "…".utf8.count))
        while end > startIndex, UTF8.isContinuation(utf8[end]) { end = utf8.index(before: end) }
        return self[..<end] + "…"
    }
}

extension JSONTree {
    /// A path as people write it: `[3].candidates.limit`.
    static func text(of path: [any CodingKey]) -> String {
        path.reduce(into: "") { text, key in
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
    }
}
