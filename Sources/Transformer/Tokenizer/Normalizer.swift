import Foundation

/// What is done to text before it is cut into words.
enum Normalizer: String, Sendable {
    /// Nothing.
    case none
    /// Unicode's normalization form C (UAX 15).
    case nfc

    /// The normalized text; nil where `text`, valid UTF-8, is so already.
    func normalized(_ text: Span<UInt8>) -> String? {
        guard self == .nfc, !Self.isPlainlyComposed(text) else { return nil }
        return String(copying: text).precomposedStringWithCanonicalMapping
    }

    /// Whether every character is below U+0300, where composition changes nothing: a quick answer for most text.
    private static func isPlainlyComposed(_ text: Span<UInt8>) -> Bool {
        for index in text.indices where text[index] >= 0xCC { return false }
        return true
    }
}

extension String {
    /// A string of UTF-8 bytes, what is not valid replaced by U+FFFD.
    init(copying bytes: Span<UInt8>) {
        self = String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
    }
}
