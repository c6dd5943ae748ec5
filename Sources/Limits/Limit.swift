/// The values that are allowed for an input from outside.
///
/// A limit is stated once, as a constant beside the type that the value becomes. Everything that reads such a value uses that constant:
/// the decoder of a request, a command-line option, a configuration key, the API's description. They refuse the same values in the same
/// words, and no field has a bound in one of them that it lacks in another.
///
/// Whole numbers are limited by a `ClosedRange`, other numbers by a ``NumberLimit``, texts by a ``TextLimit`` and lists by a
/// ``ListLimit``.
public protocol Limit<Value> {
    associatedtype Value

    func allows(_ value: Value) -> Bool

    /// The allowed values, in words that complete "expected" and "must be".
    var expected: String { get }

    /// A value in words that complete "found".
    func shown(_ value: Value) -> String
}

extension Limit {
    /// The reason why a value is refused, such as "expected a whole number from 1 to 9, found 10"; nil if it is allowed.
    public func refusal(of value: Value) -> String? {
        allows(value) ? nil : "expected \(expected), found \(shown(value))"
    }
}

/// The whole numbers of the range.
extension ClosedRange: Limit where Bound: FixedWidthInteger {
    public func allows(_ value: Bound) -> Bool { contains(value) }

    public var expected: String { "a whole number from \(lowerBound) to \(upperBound)" }

    public func shown(_ value: Bound) -> String { "\(value)" }
}

/// The numbers between two finite numbers. Infinity and NaN are never allowed.
public struct NumberLimit: Limit, Sendable, Equatable {
    public let lowest: Double
    public let highest: Double
    /// Whether ``lowest`` itself is refused.
    public let isAboveLowest: Bool
    /// Whether ``highest`` itself is refused.
    public let isBelowHighest: Bool
    private let meaning: String

    private init(_ lowest: Double, isAbove: Bool, _ highest: Double, isBelow: Bool, _ meaning: String) {
        self.lowest = lowest
        self.highest = highest
        isAboveLowest = isAbove
        isBelowHighest = isBelow
        self.meaning = meaning
    }

    /// - Parameter meaning: The first words of ``expected``.
    public static func from(_ lowest: Double, to highest: Double, _ meaning: String = "a number") -> NumberLimit {
        NumberLimit(lowest, isAbove: false, highest, isBelow: false, meaning)
    }

    public static func from(_ lowest: Double, below highest: Double) -> NumberLimit {
        NumberLimit(lowest, isAbove: false, highest, isBelow: true, "a number")
    }

    public static func above(_ lowest: Double, to highest: Double, _ meaning: String = "a number") -> NumberLimit {
        NumberLimit(lowest, isAbove: true, highest, isBelow: false, meaning)
    }

    public static func above(_ lowest: Double, below highest: Double) -> NumberLimit {
        NumberLimit(lowest, isAbove: true, highest, isBelow: true, "a number")
    }

    public func allows(_ value: Double) -> Bool {
        (isAboveLowest ? value > lowest : value >= lowest) && (isBelowHighest ? value < highest : value <= highest)
    }

    public var expected: String {
        let start = (isAboveLowest ? "above " : "from ") + Self.text(lowest)
        let end = (isBelowHighest ? "below " : isAboveLowest ? "at most " : "to ") + Self.text(highest)
        return "\(meaning) \(start) \(isAboveLowest || isBelowHighest ? "and " : "")\(end)"
    }

    public func shown(_ value: Double) -> String { Self.text(value) }

    /// A number as in JSON; a whole number has no fraction.
    public static func text(_ value: Double) -> String {
        value.magnitude < 1e15 && value == value.rounded() ? String(Int(value)) : "\(value)"
    }
}

/// Texts by their number of bytes in UTF-8.
public struct TextLimit: Limit, Sendable, Equatable {
    public let bytes: ClosedRange<Int>

    public init(bytes: ClosedRange<Int>) {
        self.bytes = bytes
    }

    public func allows(_ value: String) -> Bool { bytes.contains(value.utf8.count) }

    public var expected: String {
        switch bytes.lowerBound {
        case 0: "text of at most \(bytes.upperBound) bytes"
        case 1: "at least one character, and at most \(bytes.upperBound) bytes"
        default: "text of \(bytes.lowerBound) to \(bytes.upperBound) bytes"
        }
    }

    public func shown(_ value: String) -> String { value.isEmpty ? "an empty text" : "\(value.utf8.count) bytes" }
}

/// Lists by the number of their elements.
public struct ListLimit<Element>: Limit, Sendable {
    public let count: ClosedRange<Int>
    private let noun: String

    /// - Parameter noun: The plural noun for the elements.
    public init(_ count: ClosedRange<Int>, of noun: String) {
        self.count = count
        self.noun = noun
    }

    public func allows(_ value: [Element]) -> Bool { count.contains(value.count) }

    public var expected: String {
        count.lowerBound == 1
            ? "at least one, and at most \(count.upperBound) \(noun)"
            : "\(count.lowerBound) to \(count.upperBound) \(noun)"
    }

    public func shown(_ value: [Element]) -> String { value.isEmpty ? "none" : "\(value.count)" }
}

extension Int {
    /// The number without its fraction; the nearest `Int` if it is out of range, and 0 for NaN.
    ///
    /// Arithmetic on numbers from outside can give an infinity, for which `Int(_:)` would end the process.
    public init(saturating value: Double) {
        if value.isNaN {
            self = 0
        } else if let exact = Int(exactly: value.rounded(.towardZero)) {
            self = exact
        } else {
            self = value < 0 ? .min : .max
        }
    }
}

extension KeyedDecodingContainer {
    /// Decodes a required value.
    ///
    /// - Throws: `DecodingError` with the key's path, whose description says what was expected and what was found.
    public func decode<L: Limit>(_ key: Key, within limit: L) throws -> L.Value where L.Value: Decodable {
        let value = try decode(L.Value.self, forKey: key)
        try check(value, of: key, within: limit)
        return value
    }

    /// Decodes a value that can be absent or null.
    ///
    /// - Throws: `DecodingError`, as for a required value.
    public func decodeIfPresent<L: Limit>(_ key: Key, within limit: L) throws -> L.Value? where L.Value: Decodable {
        guard let value = try decodeIfPresent(L.Value.self, forKey: key) else { return nil }
        try check(value, of: key, within: limit)
        return value
    }

    /// Decodes a list with a limit on its length and on each element.
    ///
    /// - Throws: `DecodingError` with the path of the list or of the first refused element.
    public func decodeIfPresent<L: Limit>(
        _ key: Key, within limit: ListLimit<L.Value>, each: L
    ) throws -> [L.Value]? where L.Value: Decodable {
        guard let values = try decodeIfPresent(key, within: limit) else { return nil }
        for (index, value) in values.enumerated() {
            guard let refusal = each.refusal(of: value) else { continue }
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath + [key, ElementKey(index)], debugDescription: refusal))
        }
        return values
    }

    private func check<L: Limit>(_ value: L.Value, of key: Key, within limit: L) throws {
        guard let refusal = limit.refusal(of: value) else { return }
        throw DecodingError.dataCorruptedError(forKey: key, in: self, debugDescription: refusal)
    }
}

/// The index of a list's element.
private struct ElementKey: CodingKey {
    let intValue: Int?
    var stringValue: String { intValue.map(String.init) ?? "" }

    init(_ index: Int) { intValue = index }
    init?(intValue: Int) { self.init(intValue) }
    init?(stringValue: String) { nil }
}
