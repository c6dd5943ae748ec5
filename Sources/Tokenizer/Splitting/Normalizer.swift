/// Changes text before it is cut into words, in steps.
struct Normalizer: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        /// Unicode's normalization form C.
        case nfc
        /// Adds a string before text that is not empty (Prepend).
        case prepend(String)
        /// Replaces a string that is not empty by another (Replace).
        case replace(String, by: String)
    }

    var steps: [Step]

    static let none = Normalizer(steps: [])
    static let nfc = Normalizer(steps: [.nfc])

    /// The normalized form of `text`, valid UTF-8; nil if a quick check shows that `text` is already normalized.
    func normalized(_ text: Span<UInt8>) -> [UInt8]? {
        var result: [UInt8]?
        for step in steps {
            if let current = result {
                result = step.applied(to: current.span) ?? current
            } else {
                result = step.applied(to: text)
            }
        }
        return result
    }
}

extension Normalizer.Step {
    /// The changed text; nil if nothing changes.
    fileprivate func applied(to text: Span<UInt8>) -> [UInt8]? {
        switch self {
        case .nfc:
            return CanonicalComposition.shared.composed(text)
        case .prepend(let start):
            guard !text.isEmpty else { return nil }
            return start.utf8 + text.indices.map { text[$0] }
        case .replace(let pattern, let content):
            return replacing(Array(pattern.utf8), in: text, by: Array(content.utf8))
        }
    }
}

/// `text` with each `pattern` replaced by `content`, from left to right; nil if there is none.
func replacing(_ pattern: [UInt8], in text: Span<UInt8>, by content: [UInt8]) -> [UInt8]? {
    guard var next = firstIndex(of: pattern, in: text, from: 0) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    var position = 0
    while true {
        for index in position..<next { result.append(text[index]) }
        result += content
        position = next + pattern.count
        guard let following = firstIndex(of: pattern, in: text, from: position) else { break }
        next = following
    }
    for index in position..<text.count { result.append(text[index]) }
    return result
}

/// The first index at or after `start` at which `pattern`, which is not empty, begins.
func firstIndex(of pattern: [UInt8], in text: Span<UInt8>, from start: Int) -> Int? {
    guard let first = pattern.first else { return nil }
    var position = start
    while position + pattern.count <= text.count {
        if text[position] == first, pattern.indices.allSatisfy({ text[position + $0] == pattern[$0] }) {
            return position
        }
        position += 1
    }
    return nil
}

/// The visible space of SentencePiece: a character, usually `▁` (U+2581), that stands for a space and can be added before text.
struct Metaspace: Sendable, Equatable {
    /// Where the character is added before text that does not start with it.
    enum Prefix: String, Sendable {
        case never
        /// Only at the start of the whole text.
        case first
        /// At the start of each segment between added tokens.
        case always
    }

    var replacement: Unicode.Scalar
    var prefix: Prefix
    /// Whether each such character starts a word.
    var startsWords: Bool

    /// The text with its spaces replaced.
    ///
    /// - Parameter isFirst: Whether `text` is the start of the whole text.
    func applied(to text: Span<UInt8>, isFirst: Bool) -> [UInt8] {
        let mark = Array(String(replacement).utf8)
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 2 + mark.count)
        let isPrefixed = prefix == .always || prefix == .first && isFirst
        if isPrefixed, let first = text.isEmpty ? nil : text[0], first != UInt8(ascii: " "),
            firstIndex(of: mark, in: text.extracting(first: mark.count), from: 0) == nil
        {
            result += mark
        }
        for index in text.indices {
            if text[index] == UInt8(ascii: " ") { result += mark } else { result.append(text[index]) }
        }
        return result
    }
}
