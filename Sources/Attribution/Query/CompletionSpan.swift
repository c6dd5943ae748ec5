import Limits

/// A part of a completion, counted in Unicode code points, as Python's strings and most others are.
public struct CompletionSpan: Sendable, Equatable, Codable {
    /// The first code point, from 0.
    public var start: Int
    /// The one behind the last.
    public var end: Int

    public init(start: Int, end: Int) {
        self.start = start
        self.end = end
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case start, end }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        start = try container.decode(.start, within: InfluenceQuery.Limits.spanStart)
        end = try container.decode(.end, within: InfluenceQuery.Limits.spanEnd)
        guard end > start else {
            throw DecodingError.dataCorruptedError(
                forKey: .end, in: container, debugDescription: "expected a number above start, which is \(start)")
        }
    }
}

extension [CompletionSpan] {
    /// What is wrong with them as parts of a completion; nil if nothing is.
    func fault(in completion: String) -> String? {
        if let refusal = InfluenceQuery.Limits.spans.refusal(of: self) { return refusal }
        let length = completion.unicodeScalars.count
        guard let wrong = first(where: { $0.start < 0 || $0.start >= $0.end || $0.end > length }) else { return nil }
        return "expected spans within the completion's \(length) code points, found \(wrong.start) to \(wrong.end)"
    }
}
