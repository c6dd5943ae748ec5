/// How estimates of influence and shared words are weighed against each other.
///
/// What an estimate lacks is precision: it is the influence and a random error. Shared words have errors of their own, so that the sum of
/// both, each in its own standard deviations over the corpus, finds more than either. Sequences that share words with a
/// query have large influence of either sign: for opponents, the estimate counts negative and the words as for proponents.
struct CombinedScores {
    /// What a standard deviation of the words' scores counts for, in standard deviations of the estimates.
    static let weightOfWords = 0.5

    /// What each pair of neighbouring tokens that ends in the completion counts for, in standard deviations of the estimates.
    static let weightOfPair = 1.5

    private let mean: Double
    private let unit: Double
    private let wordUnit: Double

    /// - Parameters:
    ///   - estimates: Of all sequences.
    ///   - words: Of the same; a sequence that shares none has zero.
    init(estimates: Moments, words: Moments) {
        mean = estimates.mean
        unit = estimates.reciprocalDeviation
        wordUnit = words.reciprocalDeviation * Self.weightOfWords
    }

    /// A sequence's scores; the highest are the likeliest proponents, and the likeliest opponents.
    ///
    /// - Parameter pairs: How many pairs of neighbouring tokens it shares with the query.
    func scores(estimate: Float, words: Double, pairs: Int = 0) -> (proponent: Double, opponent: Double) {
        let influence = (Double(estimate) - mean) * unit
        let shared = words * wordUnit + Double(pairs) * Self.weightOfPair
        return (shared + influence, shared - influence)
    }
}

/// The number, mean and spread of values that come part by part.
struct Moments: Sendable {
    private(set) var count = 0.0
    private(set) var mean = 0.0
    /// The sum of squared differences from the mean.
    private var squares = 0.0

    /// Takes values; those that are not finite are left out.
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

    /// Takes zeros.
    mutating func add(zeros count: Int) {
        var part = Moments()
        part.count = Double(count)
        merge(part)
    }

    /// Takes all that another has (Chan, Golub and LeVeque 1979).
    private mutating func merge(_ other: Moments) {
        let total = count + other.count
        guard total > 0 else { return }
        let difference = other.mean - mean
        squares += other.squares + difference * difference * count * other.count / total
        mean += difference * other.count / total
        count = total
    }

    /// One through the standard deviation; zero where all are equal.
    var reciprocalDeviation: Double { squares > 0 ? (count / squares).squareRoot() : 0 }
}
