/// A string that equals another only if it has the same bytes.
///
/// Swift compares strings by canonical equivalence: "é" as one code point equals "e" with a combining accent. Names, ids and sources
/// are other things where their code points differ (RFC 8259, section 8.3), and SQLite keeps them apart; dictionaries and sets of
/// such names have keys of this type.
public struct ExactString: Hashable, Sendable {
    public let text: String

    public init(_ text: String) { self.text = text }

    public static func == (left: ExactString, right: ExactString) -> Bool { left.text.hasSameBytes(as: right.text) }

    public func hash(into hasher: inout Hasher) {
        // Not the string's own hash: strings that are canonically equivalent would all meet in one bucket.
        for byte in text.utf8 { hasher.combine(byte) }
        hasher.combine(text.utf8.count)
    }
}

extension ExactString: Comparable {
    /// By the bytes of UTF-8, which is the order of code points, and SQLite's.
    public static func < (left: ExactString, right: ExactString) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}

extension String {
    /// Whether the other string is this one, byte by byte, and not only canonically equivalent to it.
    public func hasSameBytes(as other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}
