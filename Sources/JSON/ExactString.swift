/// A string that equals another only if both have the same bytes.
///
/// Swift compares strings by canonical equivalence: "é" as one code point equals "e" with a combining accent. Names, ids and sources
/// are different if their code points differ (RFC 8259, section 8.3), as in SQLite. Use this type for the keys of dictionaries and sets
/// of such names.
public struct ExactString: Hashable, Sendable {
    public let text: String

    public init(_ text: String) { self.text = text }

    public static func == (left: ExactString, right: ExactString) -> Bool { left.text.hasSameBytes(as: right.text) }

    public func hash(into hasher: inout Hasher) {
        // Not the string's own hash: canonically equivalent strings would all share one bucket.
        for byte in text.utf8 { hasher.combine(byte) }
        hasher.combine(text.utf8.count)
    }
}

extension ExactString: Comparable {
    /// Compares the UTF-8 bytes. This is the order of code points, and of SQLite.
    public static func < (left: ExactString, right: ExactString) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}

extension String {
    /// Whether both strings have the same bytes, and are not only canonically equivalent.
    public func hasSameBytes(as other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}
