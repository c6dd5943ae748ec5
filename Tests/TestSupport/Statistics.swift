/// Measures of the difference between two lists of scores.
public struct Agreement: CustomStringConvertible {
    /// Pearson's correlation.
    public let correlation: Double
    /// The largest difference over the largest score.
    public let largestDifference: Double

    public init(_ found: [Double], _ expected: [Double]) {
        precondition(found.count == expected.count && !found.isEmpty, "\(found.count) and \(expected.count) scores")
        let count = Double(found.count)
        let meanFound = found.reduce(0, +) / count
        let meanExpected = expected.reduce(0, +) / count
        var covariance = 0.0
        var varianceFound = 0.0
        var varianceExpected = 0.0
        for (a, b) in zip(found, expected) {
            covariance += (a - meanFound) * (b - meanExpected)
            varianceFound += (a - meanFound) * (a - meanFound)
            varianceExpected += (b - meanExpected) * (b - meanExpected)
        }
        correlation = covariance / (varianceFound * varianceExpected).squareRoot()
        let largest = expected.map(abs).max() ?? 0
        largestDifference = (zip(found, expected).map { abs($0 - $1) }.max() ?? 0) / largest
    }

    public var description: String { "correlation \(correlation), largest difference \(largestDifference)" }
}
