import HTTPTypes

/// The content codings that a client accepts, from its Accept-Encoding field (RFC 9110 section 12.5.3).
struct AcceptEncoding: Sendable, Equatable {
    /// The weight of each named coding, in thousandths.
    private var weights: [String: Int] = [:]

    init(_ fields: HTTPFields) {
        for element in fields.tokens(of: .acceptEncoding) {
            let parts = element.utf8.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false).map {
                Array($0)[...].trimmingWhitespace.lowercasedASCII
            }
            guard let coding = parts.first, !coding.isEmpty else { continue }
            var weight: Int? = 1000
            if let parameter = parts.dropFirst().first { weight = Self.weight(parameter) }
            // An element with a malformed weight is ignored.
            if let weight { weights[coding == "x-gzip" ? "gzip" : coding] = weight }
        }
    }

    /// Whether gzip is acceptable, and its weight is at least that of the unencoded content.
    var prefersGzip: Bool {
        guard let gzip = weights["gzip"] ?? weights["*"], gzip > 0 else { return false }
        return gzip >= weights["identity"] ?? 0
    }

    /// Reads `q=0.5` as 500. Weights are from 0 to 1 and have at most three decimals (RFC 9110 section 12.4.2).
    private static func weight(_ parameter: String) -> Int? {
        guard parameter.hasPrefix("q=") else { return nil }
        let text = parameter.dropFirst(2)
        guard let value = Double(text), text.utf8.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ".") }),
            text.utf8.count <= 5, (0...1).contains(value)
        else { return nil }
        return Int((value * 1000).rounded())
    }
}
