/// The regular expressions by which byte-level tokenizers cut text into words, as hand-written scanners.
///
/// Every pattern matches at every position, so its matches follow each other without a gap. A scanner gives the same match as a
/// backtracking matcher: the first alternative that matches, with each repetition as long as possible.
enum SplitPattern: String, Sendable, CaseIterable {
    /// GPT-2's, which is built into the ByteLevel pre-tokenizer; also used by GPT-NeoX, Pythia and SmolLM.
    case gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Llama 3's, also used by OLMo 2: numbers in groups of up to three digits.
    case llama3 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// Qwen 2's and 3's: numbers digit by digit.
    case qwen2 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// The pattern of a regular expression, if it is one of these. Two other spellings are recognised: with possessive quantifiers,
    /// which match the same here, and with the letters of contractions in a set.
    init?(_ expression: String) {
        let plain = expression.replacing("?+", with: "?").replacing("]++", with: "]+")
            .replacing(#"\s*[\r\n]|"#, with: #"\s*[\r\n]+|"#)
            .replacing(#"'(?i:[sdmt]|ll|ve|re)|"#, with: #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#)
        self.init(rawValue: plain)
    }

    /// Appends the end of each word of `bytes[range]`, which counts as a whole text, in order, until there are `limit` ends.
    ///
    /// - Returns: The start of the next word, or the range's end.
    func appendWordEnds(of bytes: Span<UInt8>, in range: Range<Int>, to ends: inout [Int], limit: Int) -> Int {
        let classes = CharacterClasses.shared
        var position = range.lowerBound
        switch self {
        case .gpt2:
            while position < range.upperBound, ends.count < limit {
                position = classes.endOfGPT2Word(at: position, in: bytes, limit: range.upperBound)
                ends.append(position)
            }
        case .llama3, .qwen2:
            let digits = self == .llama3 ? 3 : 1
            while position < range.upperBound, ends.count < limit {
                position = classes.endOfWord(at: position, in: bytes, limit: range.upperBound, digits: digits)
                ends.append(position)
            }
        }
        return position
    }
}

extension CharacterClasses {
    @inline(__always)
    fileprivate func endOfGPT2Word(at start: Int, in bytes: Span<UInt8>, limit: Int) -> Int {
        let first = bytes[start]
        if first == UInt8(ascii: "'"), let end = endOfContraction(at: start, in: bytes, limit: limit, anyCase: false) {
            return end
        }
        let (flags, length) = at(start, in: bytes)
        let kind = flags & Kind.mask
        guard kind == Kind.space else { return endOfRun(of: kind, from: start + length, in: bytes, limit: limit) }
        // " ?" before letters, numbers or others.
        if first == UInt8(ascii: " "), start + 1 < limit {
            let (nextFlags, nextLength) = at(start + 1, in: bytes)
            let nextKind = nextFlags & Kind.mask
            if nextKind != Kind.space {
                return endOfRun(of: nextKind, from: start + 1 + nextLength, in: bytes, limit: limit)
            }
        }
        return endOfSpaces(at: start, in: bytes, limit: limit)
    }

    /// The pattern of Llama 3 and Qwen 2, which differ in the number of digits in a word.
    @inline(__always)
    fileprivate func endOfWord(at start: Int, in bytes: Span<UInt8>, limit: Int, digits: Int) -> Int {
        let first = bytes[start]
        if first == UInt8(ascii: "'"), let end = endOfContraction(at: start, in: bytes, limit: limit, anyCase: true) {
            return end
        }
        let (flags, length) = at(start, in: bytes)
        let kind = flags & Kind.mask
        if kind == Kind.letter { return endOfRun(of: kind, from: start + length, in: bytes, limit: limit) }
        if kind == Kind.number {
            return endOfRun(of: kind, from: start + length, in: bytes, limit: limit, atMost: digits - 1)
        }
        var next: (kind: UInt8, length: Int)?
        if start + length < limit {
            let (nextFlags, nextLength) = at(start + length, in: bytes)
            next = (nextFlags & Kind.mask, nextLength)
        }
        // "[^\r\n\p{L}\p{N}]?\p{L}+": one character other than a line break can precede a word of letters.
        if let next, next.kind == Kind.letter, flags & Self.lineBreak == 0 {
            return endOfRun(of: Kind.letter, from: start + length + next.length, in: bytes, limit: limit)
        }
        // " ?[^\s\p{L}\p{N}]+[\r\n]*"
        if kind == Kind.other {
            let end = endOfRun(of: Kind.other, from: start + length, in: bytes, limit: limit)
            return endOfLineBreaks(from: end, in: bytes, limit: limit)
        }
        if let next, next.kind == Kind.other, first == UInt8(ascii: " ") {
            let end = endOfRun(of: Kind.other, from: start + length + next.length, in: bytes, limit: limit)
            return endOfLineBreaks(from: end, in: bytes, limit: limit)
        }
        return endOfSpaces(at: start, in: bytes, limit: limit, stopsAfterLineBreak: true)
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`, after an apostrophe. With `anyCase`, the letters can be of either case; by Unicode's case folding,
    /// `ſ` (U+017F) is then an s too.
    private func endOfContraction(at start: Int, in bytes: Span<UInt8>, limit: Int, anyCase: Bool) -> Int? {
        guard start + 1 < limit else { return nil }
        let caseBit: UInt8 = anyCase ? 0x20 : 0
        switch bytes[start + 1] | caseBit {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return start + 2 < limit && bytes[start + 2] | caseBit == UInt8(ascii: "e") ? start + 3 : nil
        case UInt8(ascii: "l"):
            return start + 2 < limit && bytes[start + 2] | caseBit == UInt8(ascii: "l") ? start + 3 : nil
        default:
            let isLongS = anyCase && start + 2 < limit && bytes[start + 1] == 0xC5 && bytes[start + 2] == 0xBF
            return isLongS ? start + 3 : nil
        }
    }

    @inline(__always)
    private func endOfRun(
        of kind: UInt8, from start: Int, in bytes: Span<UInt8>, limit: Int, atMost most: Int = .max
    ) -> Int {
        var position = start
        var count = 0
        while position < limit, count < most {
            let (flags, length) = at(position, in: bytes)
            guard flags & Kind.mask == kind else { break }
            position += length
            count += 1
        }
        return position
    }

    private func endOfLineBreaks(from start: Int, in bytes: Span<UInt8>, limit: Int) -> Int {
        var position = start
        while position < limit, bytes[position] == 0x0A || bytes[position] == 0x0D { position += 1 }
        return position
    }

    /// `\s+(?!\S)|\s+`: a run of white space, without its last character if a word follows and the run is longer than that. With
    /// `stopsAfterLineBreak`, `\s*[\r\n]+` takes precedence: a run that has line breaks ends after the last of them.
    private func endOfSpaces(
        at start: Int, in bytes: Span<UInt8>, limit: Int, stopsAfterLineBreak: Bool = false
    ) -> Int {
        var position = start
        var last = start
        var endOfLastLineBreak: Int?
        while position < limit {
            let (flags, length) = at(position, in: bytes)
            guard flags & Kind.mask == Kind.space else { break }
            last = position
            position += length
            if flags & Self.lineBreak != 0 { endOfLastLineBreak = position }
        }
        if stopsAfterLineBreak, let endOfLastLineBreak { return endOfLastLineBreak }
        return position < limit && last > start ? last : position
    }
}

/// Cuts text at a string (Split with a String pattern).
struct LiteralSplit: Sendable, Equatable {
    /// What becomes of an occurrence of the string.
    enum Behavior: String, Sendable {
        /// It is a separate word.
        case isolated = "Isolated"
        /// It ends the word before it.
        case mergedWithPrevious = "MergedWithPrevious"
        /// It starts the word after it.
        case mergedWithNext = "MergedWithNext"
        /// Adjacent occurrences together are one word.
        case contiguous = "Contiguous"
    }

    /// Not empty.
    var pattern: String
    var behavior: Behavior

    /// Appends the end of each word of `bytes[range]`, which is not empty, until there are `limit` ends or one more.
    ///
    /// - Returns: The start of the next word, or the range's end.
    func appendWordEnds(
        of bytes: Span<UInt8>, in range: Range<Int>, to ends: inout [Int], limit: Int = .max
    ) -> Int {
        let literal = Array(pattern.utf8)
        let text = bytes.extracting(range)
        var start = 0
        var position = 0
        while let found = firstIndex(of: literal, in: text, from: position) {
            position = found + literal.count
            var cuts = [found, position]
            switch behavior {
            case .isolated: break
            case .mergedWithPrevious: cuts = [position]
            case .mergedWithNext: cuts = [found]
            case .contiguous:
                while firstIndex(of: literal, in: text.extracting(first: position + literal.count), from: position)
                    != nil
                {
                    position += literal.count
                }
                cuts = [found, position]
            }
            for cut in cuts where cut > start {
                ends.append(range.lowerBound + cut)
                start = cut
            }
            if ends.count >= limit { return range.lowerBound + start }
        }
        if start < text.count { ends.append(range.upperBound) }
        return range.upperBound
    }
}
