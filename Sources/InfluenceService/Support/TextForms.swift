import Foundation
import JSON

/// The JSON text of a value, with its fields always in the same order; metadata in it is unchanged.
func jsonText(_ value: some Encodable) throws -> String { try JSONTreeEncoder.tree(of: value).text }

func decoded<Value: Decodable>(jsonText text: String) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(text.utf8))
}

extension Date {
    init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1_000) }

    var milliseconds: Int64 { Int64((timeIntervalSince1970 * 1_000).rounded()) }

    /// The time in whole milliseconds, as the store keeps it.
    var inMilliseconds: Date { Date(milliseconds: milliseconds) }

    /// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
    var rfc3339: String {
        // The C library's calendar, because Foundation's formats take longer than all other parts of a log line.
        var (seconds, remainder) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        if remainder < 0 { (seconds, remainder) = (seconds - 1, remainder + 1_000) }
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func padded(_ number: Int32, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
        let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
        return "\(date)T\(clock).\(padded(Int32(remainder), 3))Z"
    }
}

extension String {
    /// The text, shortened with an ellipsis if it has more bytes in UTF-8.
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
