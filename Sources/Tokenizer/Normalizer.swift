/// What is done to text before it is cut into words: steps, one after the other.
struct Normalizer: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        /// Unicode's normalization form C.
        case nfc
        /// Puts a string before text that is not empty (Prepend).
        case prepend(String)
        /// Puts one string in place of another, which is not empty (Replace).
        case replace(String, by: String)
    }

    var steps: [Step]

    static let none = Normalizer(steps: [])
    static let nfc = Normalizer(steps: [.nfc])

    /// The normalized text; nil where a quick look shows that `text`, valid UTF-8, is so already.
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
    /// The changed text; nil where nothing changes.
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

/// `text` with `content` in place of each `pattern`, from left to right; nil where there is none.
func replacing(_ pattern: [UInt8], in text: Span<UInt8>, by content: [UInt8]) -> [UInt8]? {
    guard var next = firstPlace(of: pattern, in: text, from: 0) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    var position = 0
    while true {
        for index in position..<next { result.append(text[index]) }
        result += content
        position = next + pattern.count
        guard let following = firstPlace(of: pattern, in: text, from: position) else { break }
        next = following
    }
    for index in position..<text.count { result.append(text[index]) }
    return result
}

/// Where `pattern`, which is not empty, is found first at or after `start`.
func firstPlace(of pattern: [UInt8], in text: Span<UInt8>, from start: Int) -> Int? {
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
