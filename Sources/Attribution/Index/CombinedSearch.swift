import Corpus

/// The estimates of all sequences for one query, as the parts of a pass found them.
struct Estimates: Sendable {
    struct Part: Sendable {
        /// The index of the first of them among all sequences.
        let start: Int
        private(set) var values: [Float] = []

        init(start: Int) { self.start = start }

        mutating func append(_ scores: [Float]) { values += scores }
    }

    /// In the order of the sequences, without gaps.
    let parts: [Part]
    let count: Int

    /// Hands over the estimates of a range of sequences, in order, with the index of the first sequence of each chunk.
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
/// TF-IDF scores come stretch by stretch, and are computed again for each of their three uses: for their spread, for the shortlist, and for
/// the sequences on it. Only the estimates are kept for all sequences; everything else is kept for one stretch at a time.
struct CombinedSearch {
    let estimates: Estimates
    let overlap: LexicalOverlap

    /// The length of the shortlist, as a multiple of the number of sequences to find. Its sequences are read from the corpus to look for
    /// pairs of tokens.
    static let shortlist = 4
    /// The number of sequences that are scored at a time where none shares a term with the query.
    private static let stretch = 1 << 15

    func insert(into matches: inout DirectedMatches, for query: GradientIndex.Query) throws {
        var terms = try overlap.scores()
        let combined = try combinedScores(&terms)
        var shortlist = DirectedMatches(query, of: estimates.count, times: Self.shortlist)
        try forEachStretch(&terms) { start, estimates, tfidf in
            let scores = zip(estimates, tfidf).map { combined.scores(estimate: $0, tfidf: $1) }
            shortlist.insert(
                scores.map(\.proponent), opponents: scores.map(\.opponent), firstRowid: Int64(start) + 1)
        }
        // Pairs only add to a score: a sequence that is not on the shortlist could be among the best only because of its own pairs, which
        // are not looked for.
        let chosen = shortlist.rowids
        let pairs = try overlap.pairCounts(in: chosen)
        var next = 0
        try forEachStretch(&terms) { start, estimates, tfidf in
            while next < chosen.count, Int(chosen[next]) - 1 < start + estimates.count {
                let index = Int(chosen[next]) - 1 - start
                let scores = combined.scores(
                    estimate: estimates[estimates.startIndex + index], tfidf: tfidf[tfidf.startIndex + index],
                    pairs: pairs[next])
                matches.insert(chosen[next], proponent: scores.proponent, opponent: scores.opponent)
                next += 1
            }
        }
    }

    private func combinedScores(_ terms: inout TermScores) throws -> CombinedScores {
        var (estimateMoments, termMoments) = (Moments(), Moments())
        try forEachStretch(&terms) { _, estimates, tfidf in
            estimateMoments.add(estimates)
            termMoments.add(tfidf)
        }
        return CombinedScores(estimates: estimateMoments, tfidf: termMoments)
    }

    /// Hands over all sequences' estimates and TF-IDF scores, in order.
    private func forEachStretch(
        _ terms: inout TermScores,
        _ body: (_ start: Int, _ estimates: ArraySlice<Float>, _ tfidf: ArraySlice<Double>) -> Void
    ) throws {
        let none = [Double](repeating: 0, count: min(Self.stretch, estimates.count))
        var next = 0
        func handOver(to end: Int, tfidf: ArraySlice<Double>? = nil) {
            let first = next
            while next < end {
                let range = next..<min(next + Self.stretch, end)
                estimates.forEach(in: range) { start, estimates in
                    let index = tfidf.map { $0.startIndex + start - first } ?? 0
                    body(start, estimates, (tfidf ?? none[...])[index..<(index + estimates.count)])
                }
                next = range.upperBound
            }
        }
        try terms.forEachStretch { firstRowid, scores in
            handOver(to: min(Int(firstRowid) - 1, estimates.count))
            let end = min(next + scores.count, estimates.count)
            handOver(to: end, tfidf: scores)
        }
        handOver(to: estimates.count)
    }
}

/// Combines estimates of influence with lexical overlap.
///
/// An estimate is the influence plus a random error. Lexical overlap has errors of its own, so that the sum of both, each in its own
/// standard deviations over the corpus, finds more than either alone. Sequences that overlap with a query have large influence of either
/// sign: for opponents, the estimate counts with the opposite sign and the overlap with the same.
struct CombinedScores {
    /// The weight of a standard deviation of TF-IDF scores, in standard deviations of the estimates.
    static let weightOfTFIDF = 0.5

    /// The weight of each shared pair of neighbouring tokens that ends in the completion, in standard deviations of the estimates.
    static let weightOfPair = 1.5

    private let mean: Double
    private let unit: Double
    private let termUnit: Double

    /// - Parameters:
    ///   - estimates: The estimates of all sequences.
    ///   - tfidf: The TF-IDF scores of all sequences. A sequence without lexical overlap has zero.
    init(estimates: Moments, tfidf: Moments) {
        mean = estimates.mean
        unit = estimates.reciprocalDeviation
        termUnit = tfidf.reciprocalDeviation * Self.weightOfTFIDF
    }

    /// A sequence's scores as a proponent and as an opponent: the higher, the likelier.
    ///
    /// - Parameter pairs: How many pairs of neighbouring tokens the sequence shares with the query.
    func scores(estimate: Float, tfidf: Double, pairs: Int = 0) -> (proponent: Double, opponent: Double) {
        let influence = (Double(estimate) - mean) * unit
        let shared = tfidf * termUnit + Double(pairs) * Self.weightOfPair
        return (shared + influence, shared - influence)
    }
}

/// The number, mean and spread of values that arrive in parts.
struct Moments: Sendable {
    private(set) var count = 0.0
    private(set) var mean = 0.0
    /// The sum of squared differences from the mean.
    private var squares = 0.0

    /// Adds values; those that are not finite are left out.
    mutating func add(_ values: some Collection<some BinaryFloatingPoint>) {
        let finite = values.lazy.filter(\.isFinite).map { Double($0) }
        var part = Moments()
        for value in finite {
            part.count += 1
            part.mean += value
        }
        guard part.count > 0 else { return }
        part.mean /= part.count
        for value in finite { part.squares += (value - part.mean) * (value - part.mean) }
        merge(part)
    }

    /// Adds the values behind other moments (Chan, Golub and LeVeque 1979).
    private mutating func merge(_ other: Moments) {
        let total = count + other.count
        guard total > 0 else { return }
        let difference = other.mean - mean
        squares += other.squares + difference * difference * count * other.count / total
        mean += difference * other.count / total
        count = total
    }

    /// One over the standard deviation; zero if all values are equal.
    var reciprocalDeviation: Double { squares > 0 ? (count / squares).squareRoot() : 0 }
}

/// The lexical overlap of sequences with a query, which corrects the index's estimates.
public struct LexicalOverlap: Sendable {
    /// Two neighbouring tokens, in order.
    public struct Pair: Hashable, Sendable {
        let first: Int32
        let second: Int32
    }

    /// Reads the TF-IDF scores, from the first sequence on.
    let scores: @Sendable () throws -> TermScores
    /// The query's pairs of tokens that end in its completion.
    let pairs: Set<Pair>
    let tokens: @Sendable ([Int64]) throws -> [[Int32]]

    func pairCounts(in rowids: [Int64]) throws -> [Int] {
        guard !pairs.isEmpty else { return rowids.map { _ in 0 } }
        return try tokens(rowids).map { tokens in
            Set(zip(tokens, tokens.dropFirst()).lazy.map(Pair.init)).intersection(pairs).count
        }
    }
}

struct DirectedMatches: Sendable {
    private var proponents: TopMatches?
    private var opponents: TopMatches?
    private let within: [ClosedRange<Int64>]?

    /// - Parameters:
    ///   - sequences: The number of sequences, which no direction can exceed.
    ///   - factor: The number of matches, as a multiple of the matches that the query asks for.
    init(_ query: GradientIndex.Query, of sequences: Int, times factor: Int = 1) {
        let limit = min(query.limit, 2 * sequences) * factor
        let (most, least) = ((limit + 1) / 2, limit / 2)
        switch query.direction {
        case .positive: proponents = TopMatches(limit: limit)
        case .negative: opponents = TopMatches(limit: limit)
        case .both:
            proponents = TopMatches(limit: most)
            if least > 0 { opponents = TopMatches(limit: least) }
        }
        within = query.within
    }

    /// Adds scores, of which the highest are the best proponents and the lowest the best opponents.
    mutating func insert(_ scores: [Float], firstRowid: Int64) {
        for index in indices(of: scores, firstRowid: firstRowid) where scores[index].isFinite {
            let score = Double(scores[index])
            proponents?.insert(TermIndex.Match(rowid: firstRowid + Int64(index), score: score))
            opponents?.insert(TermIndex.Match(rowid: firstRowid + Int64(index), score: -score))
        }
    }

    /// Adds one score per direction, of which the highest are the best.
    mutating func insert(_ proponentScores: [Double], opponents opponentScores: [Double], firstRowid: Int64) {
        for index in indices(of: proponentScores, firstRowid: firstRowid) where proponentScores[index].isFinite {
            let rowid = firstRowid + Int64(index)
            insert(rowid, proponent: proponentScores[index], opponent: opponentScores[index])
        }
    }

    /// Adds the scores of one sequence, whether or not the query searches its source.
    mutating func insert(_ rowid: Int64, proponent: Double, opponent: Double) {
        proponents?.insert(TermIndex.Match(rowid: rowid, score: proponent))
        opponents?.insert(TermIndex.Match(rowid: rowid, score: opponent))
    }

    /// The indices of those scores whose sequences the query searches.
    private func indices(of scores: [some BinaryFloatingPoint], firstRowid: Int64) -> [Int] {
        guard let within, !scores.isEmpty else { return Array(scores.indices) }
        let last = firstRowid + Int64(scores.count) - 1
        return within.filter { $0.upperBound >= firstRowid && $0.lowerBound <= last }.flatMap { range in
            let part = range.clamped(to: firstRowid...last)
            return Int(part.lowerBound - firstRowid)...Int(part.upperBound - firstRowid)
        }
    }

    mutating func insert(_ other: DirectedMatches) {
        for match in other.proponents?.sorted() ?? [] { proponents?.insert(match) }
        for match in other.opponents?.sorted() ?? [] { opponents?.insert(match) }
    }

    var rowids: [Int64] {
        Set([proponents, opponents].flatMap { $0?.sorted().map(\.rowid) ?? [] }).sorted()
    }
}
