/// Estimates of influence, corrected by the words that sequences share with the query.
///
/// What an estimate lacks is precision: it is the influence and a random error. Shared words have errors of their own, so that the sum of
/// both, each in its own standard deviations over the corpus, finds more than either. Sequences that share words with a
/// query have large influence of either sign: for opponents, the estimate counts negative and the words as for proponents.
struct CombinedScores {
    /// What a standard deviation of the words' scores counts for, in standard deviations of the estimates.
    static let weightOfWords: Float = 0.5

    /// What each pair of neighbouring tokens that ends in the completion counts for, in standard deviations of the estimates.
    static let weightOfPair: Float = 1.5

    /// One a sequence; the highest are the likeliest proponents.
    private(set) var proponents: [Float]

    /// One a sequence; the highest are the likeliest opponents.
    private(set) var opponents: [Float]

    /// - Parameter words: One a sequence; those that are missing count as none shared.
    init(estimates: [Float], words: [Double]) {
        let usable = estimates.indices.map { $0 < words.count ? Float(words[$0]) : 0 }
        let scale = Self.scale(usable) * Self.weightOfWords
        let (mean, unit) = (Self.mean(estimates), Self.scale(estimates))
        proponents = zip(estimates, usable).map { ($0 - mean) * unit + $1 * scale }
        opponents = zip(estimates, usable).map { (mean - $0) * unit + $1 * scale }
    }

    /// Takes into account how many pairs of neighbouring tokens some sequences share with the query.
    mutating func add(pairs counts: [Int], of rowids: [Int64]) {
        for (rowid, count) in zip(rowids, counts) {
            let index = Int(rowid) - 1
            proponents[index] += Float(count) * Self.weightOfPair
            opponents[index] += Float(count) * Self.weightOfPair
        }
    }

    private static func mean(_ values: [Float]) -> Float {
        let finite = values.lazy.filter(\.isFinite)
        return Float(finite.reduce(0.0) { $0 + Double($1) } / Double(max(1, finite.count)))
    }

    /// One through the standard deviation; zero where all are equal.
    private static func scale(_ values: [Float]) -> Float {
        let mean = Double(mean(values))
        let finite = values.lazy.filter(\.isFinite)
        let variance =
            finite.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(max(1, finite.count))
        return variance > 0 ? Float(1 / variance.squareRoot()) : 0
    }
}
