import Foundation

/// Unicode's normalization form C (UAX 15) with the data of Unicode 9, as in Hugging Face tokenizers.
///
/// Characters assigned later stay as they are, so that a text keeps its ids whatever version of Unicode the Swift library knows.
/// (Foundation's form C composes some Hangul differently from the standard, so it cannot be used.)
struct CanonicalComposition: Sendable {
    static let shared = CanonicalComposition()

    /// Full canonical decompositions, except those of Hangul syllables.
    private let decompositions: [UInt32: [UInt32]]
    /// The composite of each pair, keyed by first and second.
    private let composites: [UInt64: UInt32]
    /// Characters that compose with one before them, except Hangul.
    private let seconds: Set<UInt32>
    /// Whether each of the first 65,536 characters stays as it is if an inert character follows, whatever comes before.
    private let isInert: [Bool]

    /// Characters outside of these ranges have no canonical decomposition in Unicode 9, or are Hangul syllables.
    private static let decomposable: [ClosedRange<UInt32>] = [
        0xC0...0x30FF, 0xF900...0xFB4F, 0x11000...0x11FFF, 0x1D100...0x1D1FF, 0x2F800...0x2FA1F,
    ]

    private init() {
        var decompositions: [UInt32: [UInt32]] = [:]
        var composable: [(composite: UInt32, decomposition: [UInt32])] = []
        for scalar in Self.decomposable.joined().compactMap(Unicode.Scalar.init) where Self.isKnown(scalar) {
            let text = String(scalar)
            let decomposition = text.decomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
            guard decomposition != [scalar.value] else { continue }
            decompositions[scalar.value] = decomposition
            // Form C does not compose a character that it decomposes (UAX 15, section 5).
            if text.precomposedStringWithCanonicalMapping.unicodeScalars.map(\.value) == [scalar.value] {
                composable.append((scalar.value, decomposition))
            }
        }
        var composites: [UInt64: UInt32] = [:]
        var seconds: Set<UInt32> = []
        // A composite of three characters is composed of a composite of two and a third character, so shorter ones come first.
        for (composite, parts) in composable.sorted(by: { $0.decomposition.count < $1.decomposition.count }) {
            guard let first = parts.first, let last = parts.last else { continue }
            let start = parts.dropFirst().dropLast().reduce(first) { composites[Self.pair($0, $1)] ?? $0 }
            composites[Self.pair(start, last)] = composite
            seconds.insert(last)
        }
        self.decompositions = decompositions
        self.composites = composites
        self.seconds = seconds
        let isStable = Set(composable.map(\.composite))
        isInert = (UInt32(0)...0xFFFF).map { value in
            let first = decompositions[value]?.first ?? value
            return (decompositions[value] == nil || isStable.contains(value))
                && Self.startsSegment(first, seconds: seconds)
        }
    }

    /// The composed form of `text`, valid UTF-8; nil if a quick check shows that `text` is already composed.
    func composed(_ text: Span<UInt8>) -> [UInt8]? {
        guard let start = firstChange(in: text) else { return nil }
        var composed: [UInt8] = []
        composed.reserveCapacity(text.count)
        for index in 0..<start { composed.append(text[index]) }
        var segment: [UInt32] = []
        var position = start
        while position < text.count {
            let (value, length) = scalar(at: position, in: text)
            if startsSegment(value) {
                append(segment, to: &composed)
                segment.removeAll(keepingCapacity: true)
            }
            segment.append(value)
            position += length
        }
        append(segment, to: &composed)
        return composed
    }

    /// The start of the first segment that is more than one inert character; nil if there is none.
    private func firstChange(in text: Span<UInt8>) -> Int? {
        var position = 0
        var previous = 0
        while position < text.count {
            let (value, length) = scalar(at: position, in: text)
            if !isInert(value) { return startsSegment(value) ? position : previous }
            previous = position
            position += length
        }
        return nil
    }

    private func isInert(_ value: UInt32) -> Bool {
        value < 0x10000 ? isInert[Int(value)] : decompositions[value] == nil && startsSegment(value)
    }

    /// Whether no character before this one can compose with it or be reordered with it.
    private func startsSegment(_ value: UInt32) -> Bool {
        if value < 0x10000, isInert[Int(value)] { return true }
        return Self.startsSegment(decompositions[value]?.first ?? value, seconds: seconds)
    }

    private static func startsSegment(_ first: UInt32, seconds: Set<UInt32>) -> Bool {
        combiningClass(first) == 0 && !seconds.contains(first) && !Hangul.isVowelOrTail(first)
    }

    // MARK: One segment

    private func append(_ segment: [UInt32], to bytes: inout [UInt8]) {
        var scalars = segment
        if segment.count > 1 || !segment.allSatisfy(isInert) {
            scalars = compose(inOrder(segment.flatMap { Hangul.decomposed($0) ?? decompositions[$0] ?? [$0] }))
        }
        for value in scalars {
            if let scalar = Unicode.Scalar(value) { bytes += UTF8.encode(scalar).map(Array.init) ?? [] }
        }
    }

    /// Sorts marks stably by their combining classes (Unicode 3.11, D109).
    private func inOrder(_ scalars: [UInt32]) -> [UInt32] {
        var ordered: [UInt32] = []
        ordered.reserveCapacity(scalars.count)
        var start = 0
        while start < scalars.count {
            let end = scalars[start...].firstIndex { Self.combiningClass($0) == 0 } ?? scalars.count
            appendMarks(scalars[start..<end], to: &ordered)
            if end < scalars.count { ordered.append(scalars[end]) }
            start = end + 1
        }
        return ordered
    }

    private func appendMarks(_ marks: ArraySlice<UInt32>, to ordered: inout [UInt32]) {
        let first = ordered.count
        ordered += marks
        guard marks.count < 32 else { return countMarks(marks, into: &ordered, from: first) }
        for index in ordered.indices.dropFirst(first + 1) {
            var index = index
            let (mark, combiningClass) = (ordered[index], Self.combiningClass(ordered[index]))
            while index > first, Self.combiningClass(ordered[index - 1]) > combiningClass {
                ordered[index] = ordered[index - 1]
                index -= 1
            }
            ordered[index] = mark
        }
    }

    /// Sorts by counting: a text can be one letter with millions of marks.
    private func countMarks(_ marks: ArraySlice<UInt32>, into ordered: inout [UInt32], from first: Int) {
        var positions = [Int](repeating: first, count: 257)
        for mark in marks { positions[Int(Self.combiningClass(mark)) + 1] += 1 }
        for index in 1...256 { positions[index] += positions[index - 1] - first }
        for mark in marks {
            let combiningClass = Int(Self.combiningClass(mark))
            ordered[positions[combiningClass]] = mark
            positions[combiningClass] += 1
        }
    }

    /// Composes each character with the last starter unless one between them blocks it (Unicode 3.11, D115 to D117).
    private func compose(_ scalars: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var starter: Int?
        var lastClass: UInt8?
        for value in scalars {
            let combiningClass = Self.combiningClass(value)
            let isBlocked = lastClass.map { $0 >= combiningClass } ?? false
            if let starter, !isBlocked, let composite = composite(result[starter], value) {
                result[starter] = composite
                continue
            }
            if combiningClass == 0 {
                starter = result.count
                lastClass = nil
            } else {
                lastClass = combiningClass
            }
            result.append(value)
        }
        return result
    }

    private func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        Hangul.composed(first, second) ?? composites[Self.pair(first, second)]
    }

    // MARK: Characters

    private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

    private static func isKnown(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.age.map { $0.major <= 9 } ?? false
    }

    private static func combiningClass(_ value: UInt32) -> UInt8 {
        guard let scalar = Unicode.Scalar(value), isKnown(scalar) else { return 0 }
        return scalar.properties.canonicalCombiningClass.rawValue
    }
}

/// Hangul syllables, composed of jamo by arithmetic (Unicode 3.12).
private enum Hangul {
    private static let syllables: Range<UInt32> = 0xAC00..<0xAC00 + 19 * 21 * 28
    private static let leads: Range<UInt32> = 0x1100..<0x1113
    private static let vowels: Range<UInt32> = 0x1161..<0x1176
    private static let tails: Range<UInt32> = 0x11A8..<0x11C3

    static func isVowelOrTail(_ value: UInt32) -> Bool { vowels.contains(value) || tails.contains(value) }

    static func decomposed(_ value: UInt32) -> [UInt32]? {
        guard syllables.contains(value) else { return nil }
        let index = value - syllables.lowerBound
        let pair = [leads.lowerBound + index / (21 * 28), vowels.lowerBound + index / 28 % 21]
        return index % 28 == 0 ? pair : pair + [tails.lowerBound + index % 28 - 1]
    }

    static func composed(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if leads.contains(first), vowels.contains(second) {
            return syllables.lowerBound + ((first - leads.lowerBound) * 21 + second - vowels.lowerBound) * 28
        }
        if syllables.contains(first), (first - syllables.lowerBound) % 28 == 0, tails.contains(second) {
            return first + second - tails.lowerBound + 1
        }
        return nil
    }
}
