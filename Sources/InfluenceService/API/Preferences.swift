import Foundation
import HTTPTypes

/// What a client prefers but does not insist on (RFC 7240).
struct Preferences: Equatable {
    /// How many seconds it will wait for the result itself.
    var wait: Int?

    /// Reads the `Prefer` fields. Preferences that are unknown or malformed are ignored, as section 2 asks; of one that stands
    /// twice the first counts.
    init(_ headers: HTTPFields) {
        let fields = headers.filter { $0.name.canonicalName == "prefer" }
        for preference in fields.flatMap({ $0.value.split(separator: ",") }) where wait == nil {
            let pair = preference.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            guard pair.count == 2, pair[0].lowercased() == "wait" else { continue }
            let value = pair[1].trimmingCharacters(in: CharacterSet(charactersIn: "\""))
            if let seconds = Int(value), seconds >= 0 { wait = seconds }
        }
    }
}

/// Chooses among media types by the `Accept` field (RFC 9110 section 12.5.1).
enum ContentNegotiation {
    /// The available type that the client likes best; of equals the first.
    ///
    /// - Parameters:
    ///   - accept: The field's value; everything is accepted where there is none.
    ///   - available: Types such as "text/csv", the server's favourite first.
    /// - Returns: `nil` if none is accepted.
    static func choose(_ accept: String?, from available: [String]) -> String? {
        guard let accept, !accept.trimmingCharacters(in: .whitespaces).isEmpty else { return available.first }
        let ranges = accept.split(separator: ",").map(Range.init)
        let rated = available.map { type in (type: type, quality: quality(of: type, in: ranges)) }
        let best = rated.map(\.quality).max() ?? 0
        return best > 0 ? rated.first { $0.quality == best }?.type : nil
    }

    /// The most specific range that has the type decides.
    private static func quality(of type: String, in ranges: [Range]) -> Double {
        let wildcard = type.prefix { $0 != "/" } + "/*"
        for pattern in [type, String(wildcard), "*/*"] {
            if let range = ranges.first(where: { $0.pattern == pattern }) { return range.quality }
        }
        return 0
    }

    private struct Range {
        var pattern: String
        var quality = 1.0

        init(_ text: Substring) {
            let parts = text.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
            pattern = parts.first ?? ""
            for part in parts.dropFirst() where part.hasPrefix("q=") {
                // From 0 to 1 (RFC 9110 section 12.4.2). What is not understood is not taken as a wish.
                quality = Double(part.dropFirst(2)).flatMap { (0...1).contains($0) ? $0 : nil } ?? 0
            }
        }
    }
}
