/// A token that is found in the text before any other step: a special token, or a word that was added to a finished vocabulary.
struct AddedToken: Sendable, Equatable {
    var identifier: Int32
    var content: String
    /// Whether the token is a control token, such as the end of text. Such tokens are found in text like the others.
    var isSpecial = true
    /// Whether the token includes the white space before it.
    var stripsLeft = false
    /// Whether the token includes the white space after it.
    var stripsRight = false
    /// Whether the token is found only where it touches no word character.
    var isSingleWord = false
    /// Whether the token is found in the normalized text rather than in the original text.
    var isNormalized = false
}

/// Finds added tokens in text: the leftmost, and the longest of those that start there.
struct AddedTokenMatcher: Sendable {
    /// A part of a text: an added token with the white space that it includes, or the text between two.
    struct Segment: Sendable, Equatable {
        let range: Range<Int>
        /// Nil for text between added tokens.
        let identifier: Int32?
    }

    private struct Node {
        /// Ascending by byte.
        var children: [(byte: UInt8, node: Int)] = []
        var token: Int?
    }

    private let tokens: [AddedToken]
    private let nodes: [Node]
    /// For each byte, whether an added token starts with it.
    private let startsToken: [Bool]

    /// - Parameter contents: The bytes to find for each token: its content, normalized if the token is.
    init(_ tokens: [AddedToken], contents: [[UInt8]]) {
        self.tokens = tokens
        var nodes = [Node()]
        for (index, content) in contents.enumerated() where !content.isEmpty {
            var node = 0
            for byte in content {
                if let child = nodes[node].children.first(where: { $0.byte == byte }) {
                    node = child.node
                } else {
                    nodes[node].children.append((byte, nodes.count))
                    node = nodes.count
                    nodes.append(Node())
                }
            }
            nodes[node].token = nodes[node].token ?? index
        }
        self.nodes = nodes
        startsToken = (UInt8.min...UInt8.max).map { byte in nodes[0].children.contains { $0.byte == byte } }
    }

    var isEmpty: Bool { nodes[0].children.isEmpty }

    struct Cursor: Sendable {
        fileprivate var covered = 0
        fileprivate var position = 0
        /// A token whose preceding text was returned first.
        fileprivate var waiting: Segment?
    }

    /// Cuts `text` into added tokens and the text between them, without gaps.
    ///
    /// - Returns: The next segment; nil at the end.
    func next(_ cursor: inout Cursor, in text: Span<UInt8>) -> Segment? {
        if let waiting = cursor.waiting {
            cursor.waiting = nil
            return waiting
        }
        while !isEmpty, cursor.position < text.count {
            guard startsToken[Int(text[cursor.position])], let match = longestMatch(at: cursor.position, in: text)
            else {
                cursor.position += 1
                continue
            }
            var range = cursor.position..<match.end
            cursor.position = match.end
            let token = tokens[match.token]
            if token.isSingleWord, touchesWord(range, in: text) { continue }
            if token.stripsLeft {
                // White space that the preceding token includes is not available. A token that consists of such white space is not
                // found.
                guard cursor.covered < range.upperBound else { continue }
                range = max(cursor.covered, startOfSpaces(before: range.lowerBound, in: text))..<range.upperBound
            }
            if token.stripsRight { range = range.lowerBound..<endOfSpaces(after: range.upperBound, in: text) }
            let before = cursor.covered..<max(cursor.covered, range.lowerBound)
            let found = Segment(range: range, identifier: token.identifier)
            cursor.covered = range.upperBound
            guard !before.isEmpty else { return found }
            cursor.waiting = found
            return Segment(range: before, identifier: nil)
        }
        defer { cursor.covered = text.count }
        return cursor.covered < text.count ? Segment(range: cursor.covered..<text.count, identifier: nil) : nil
    }

    private func longestMatch(at start: Int, in text: Span<UInt8>) -> (token: Int, end: Int)? {
        var longest: (token: Int, end: Int)?
        var node = 0
        var position = start
        while position < text.count,
            let child = nodes[node].children.first(where: { $0.byte == text[position] })
        {
            node = child.node
            position += 1
            if let token = nodes[node].token { longest = (token, position) }
        }
        return longest
    }

    private func touchesWord(_ range: Range<Int>, in text: Span<UInt8>) -> Bool {
        let classes = CharacterClasses.shared
        if range.lowerBound > 0 {
            let before = startOfCharacter(before: range.lowerBound, in: text)
            if classes.at(before, in: text).flags & CharacterClasses.word != 0 { return true }
        }
        return range.upperBound < text.count
            && classes.at(range.upperBound, in: text).flags & CharacterClasses.word != 0
    }

    private func startOfSpaces(before end: Int, in text: Span<UInt8>) -> Int {
        var start = end
        while start > 0 {
            let before = startOfCharacter(before: start, in: text)
            guard isSpace(at: before, in: text) else { break }
            start = before
        }
        return start
    }

    private func endOfSpaces(after start: Int, in text: Span<UInt8>) -> Int {
        var end = start
        while end < text.count, isSpace(at: end, in: text) { end += CharacterClasses.shared.at(end, in: text).length }
        return end
    }

    private func isSpace(at position: Int, in text: Span<UInt8>) -> Bool {
        CharacterClasses.shared.at(position, in: text).flags & CharacterClasses.Kind.mask == CharacterClasses.Kind.space
    }

    private func startOfCharacter(before end: Int, in text: Span<UInt8>) -> Int {
        var start = end - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }
}
