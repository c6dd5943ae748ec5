/// Cuts text at a string (Split with a String for its pattern).
struct LiteralSplit: Sendable, Equatable {
    /// What becomes of the string where it is found.
    enum Behavior: String, Sendable {
        /// It is a word of its own.
        case isolated = "Isolated"
        /// It ends the word before it.
        case mergedWithPrevious = "MergedWithPrevious"
        /// It starts the word after it.
        case mergedWithNext = "MergedWithNext"
        /// It and its neighbours of the same kind are one word.
        case contiguous = "Contiguous"
    }

    /// Not empty.
    var pattern: String
    var behavior: Behavior

    /// Appends the end of each word of `bytes[range]`, which is not empty, until there are `limit` ends or one more.
    ///
    /// - Returns: Where the first word starts that is left, or the range's end.
    func appendWordEnds(
        of bytes: Span<UInt8>, in range: Range<Int>, to ends: inout [Int], limit: Int = .max
    ) -> Int {
        let literal = Array(pattern.utf8)
        let text = bytes.extracting(range)
        var start = 0
        var position = 0
        while let found = firstPlace(of: literal, in: text, from: position) {
            position = found + literal.count
            var cuts = [found, position]
            switch behavior {
            case .isolated: break
            case .mergedWithPrevious: cuts = [position]
            case .mergedWithNext: cuts = [found]
            case .contiguous:
                while firstPlace(of: literal, in: text.extracting(first: position + literal.count), from: position)
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
