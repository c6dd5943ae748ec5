import Corpus

/// The estimates of all sequences for one query, as the parts of a pass found them.
struct Estimates: Sendable {
    /// Those of neighbouring sequences.
    struct Part: Sendable {
        /// The first one's index among all sequences.
        let start: Int
        private(set) var values: [Float] = []

        init(start: Int) { self.start = start }

        mutating func append(_ scores: [Float]) { values += scores }
    }

    /// In the order of the sequences, without gaps.
    let parts: [Part]
    let count: Int

    /// Hands over the estimates of a range of sequences, in order, with the index of the first of each piece.
    func forEach(in range: Range<Int>, _ body: (_ start: Int, _ estimates: ArraySlice<Float>) -> Void) {
        for part in parts {
            let own = range.clamped(to: part.start..<(part.start + part.values.count))
            guard !own.isEmpty else { continue }
            body(own.lowerBound, part.values[(own.lowerBound - part.start)..<(own.upperBound - part.start)])
        }
    }
}

/// Finds the sequences of highest ``CombinedScores`` for one query.
///
/// The words' scores come stretch by stretch and are found again for each of the three times that they are needed: for their
/// spread, for the shortlist, and for what is on it. Only the estimates are kept, for all sequences; the rest is of one stretch.
struct CombinedSearch {
    let estimates: Estimates
    let words: SharedWords

    /// How many times as many sequences as are wanted are looked at for pairs of tokens: those have to be read from the corpus.
    static let shortlist = 4
    /// Sequences that are scored at a time where none shares a word.
    private static let stretch = 1 << 15

    func insert(into matches: inout DirectedMatches, for query: GradientIndex.Query) throws {
        var terms = try words.scores()
        let combined = try combinedScores(&terms)
        var shortlist = DirectedMatches(query, of: estimates.count, times: Self.shortlist)
        try forEachStretch(&terms) { start, estimates, words in
            let scores = zip(estimates, words).map { combined.scores(estimate: $0, words: $1) }
            shortlist.insert(
                scores.map(\.proponent), opponents: scores.map(\.opponent), firstRowid: Int64(start) + 1)
        }
        // Pairs are looked for on the shortlist alone, and only add to a score: everything else stays behind as many as are wanted.
        let chosen = shortlist.rowids
        let pairs = try words.pairCounts(in: chosen)
        var next = 0
        try forEachStretch(&terms) { start, estimates, words in
            while next < chosen.count, Int(chosen[next]) - 1 < start + estimates.count {
                let place = Int(chosen[next]) - 1 - start
                let scores = combined.scores(
                    estimate: estimates[estimates.startIndex + place], words: words[words.startIndex + place],
                    pairs: pairs[next])
                matches.insert(chosen[next], proponent: scores.proponent, opponent: scores.opponent)
                next += 1
            }
        }
    }

    private func combinedScores(_ terms: inout TermScores) throws -> CombinedScores {
        var (estimateMoments, wordMoments) = (Moments(), Moments())
        try forEachStretch(&terms) { _, estimates, words in
            estimateMoments.add(estimates)
            wordMoments.add(words)
        }
        return CombinedScores(estimates: estimateMoments, words: wordMoments)
    }

    /// Hands over all sequences' estimates and the scores of their words, in order.
    private func forEachStretch(
        _ terms: inout TermScores,
        _ body: (_ start: Int, _ estimates: ArraySlice<Float>, _ words: ArraySlice<Double>) -> Void
    ) throws {
        let none = [Double](repeating: 0, count: min(Self.stretch, estimates.count))
        var next = 0
        func handOver(to end: Int, words: ArraySlice<Double>? = nil) {
            let first = next
            while next < end {
                let range = next..<min(next + Self.stretch, end)
                estimates.forEach(in: range) { start, estimates in
                    let place = words.map { $0.startIndex + start - first } ?? 0
                    body(start, estimates, (words ?? none[...])[place..<(place + estimates.count)])
                }
                next = range.upperBound
            }
        }
        try terms.forEachStretch { firstRowid, scores in
            handOver(to: min(Int(firstRowid) - 1, estimates.count))
            let end = min(next + scores.count, estimates.count)
            handOver(to: end, words: scores)
        }
        handOver(to: estimates.count)
    }
}
