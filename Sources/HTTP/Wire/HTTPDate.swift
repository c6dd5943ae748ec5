import Glibc

/// A time as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
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

/// The current date, written anew only when the second changes.
struct DateCache {
    private var seconds = -1
    private var text = ""

    mutating func current() -> String {
        let now = Glibc.time(nil)
        if now != seconds {
            seconds = now
            text = HTTPDate.format(seconds: now)
        }
        return text
    }
}
