/// The largest request that is accepted.
public struct RequestLimits: Sendable, Equatable {
    /// The longest request target, in bytes. A longer one is answered with 414.
    public var targetBytes: Int
    /// The most bytes in the header section, and separately in the trailer section. More are answered with 431.
    public var headerBytes: Int
    /// The most fields in the header section, and separately in the trailer section. More are answered with 431.
    public var headerCount: Int
    /// The longest body, in bytes after decoding. A longer one is answered with 413.
    public var bodyBytes: Int

    public init(
        targetBytes: Int = 8 << 10, headerBytes: Int = 32 << 10, headerCount: Int = 100, bodyBytes: Int = 16 << 20
    ) {
        self.targetBytes = targetBytes
        self.headerBytes = headerBytes
        self.headerCount = headerCount
        self.bodyBytes = bodyBytes
    }

    /// The same limits, reduced so far that arithmetic on them cannot overflow.
    var clamped: RequestLimits {
        func clamp(_ value: Int) -> Int { min(max(value, 0), Int.max / 64) }
        return RequestLimits(
            targetBytes: clamp(targetBytes), headerBytes: clamp(headerBytes), headerCount: clamp(headerCount),
            bodyBytes: clamp(bodyBytes))
    }
}

/// Enforces the limits of a header or trailer section.
struct FieldSectionMeter: Sendable {
    private let limits: RequestLimits
    private var bytes = 0
    private var fields = 0

    init(limits: RequestLimits) {
        self.limits = limits
    }

    /// The longest line that still fits.
    var remainingBytes: Int { max(limits.headerBytes - bytes, 0) }

    mutating func count(_ line: [UInt8]) throws(RequestRejection) {
        bytes += line.count + 2
        fields += 1
        // HTTPFields can hold fewer than 2^16 fields.
        let limit = min(limits.headerCount, Int(UInt16.max) - 1)
        guard fields <= limit else { throw .tooManyFields(limit: limit) }
    }
}
