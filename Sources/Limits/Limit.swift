/// What a value that comes from outside is allowed to be.
///
/// A limit is stated once, as a constant beside the type that the value becomes. Whatever reads such a value goes by that constant: the
/// decoder of a request, an option of the command line, a key of the configuration, the description of the API. They refuse the same
/// values in the same words, and no field has a bound in one of them that it lacks in another.
///
/// Whole numbers are limited by a `ClosedRange`, other numbers by a ``NumberLimit``, texts by a ``TextLimit`` and lists by a
/// ``ListLimit``.
public protocol Limit<Value> {
    associatedtype Value

    func allows(_ value: Value) -> Bool

    /// What is allowed, in words that complete "expected" and "must be".
    var expected: String { get }

    /// A value in words that complete "found".
    func shown(_ value: Value) -> String
}

extension Limit {
    /// Why a value is refused, such as "expected a whole number from 1 to 9, found 10"; nil if it is allowed.
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

/// The numbers between two finite ones. Neither infinity nor NaN is ever allowed.
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

    /// - Parameter meaning: What the words for the limit begin with.
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

    /// A number as JSON has it, without a fraction where there is none.
    public static func text(_ value: Double) -> String {
        value.magnitude < 1e15 && value == value.rounded() ? String(Int(value)) : "\(value)"
    }
}

/// Texts by the bytes that they take in UTF-8.
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

    /// - Parameter noun: What the elements are, in the plural.
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

// Arithmetic on numbers that come from outside.
extension Int {
    /// The whole number that a number is cut to; the nearest there is for one beyond all of them, and 0 for what is no number.
    ///
    /// Arithmetic on numbers from outside can give an infinity, which `Int(_:)` ends the process for.
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
