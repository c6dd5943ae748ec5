import Attribution
import Foundation
import LinearAlgebra

extension PowerLawTail {
    /// How well the law describes the tail (Clauset et al. 2009, section 4): the share of samples that are farther from their own fits than
    /// these values are from theirs. Samples are drawn from the law above ``from``, and from the values themselves below. If the share is
    /// at most 0.1, the law is not credible. Its standard error is at most `1 / (2 √samples)`.
    ///
    /// - Parameters:
    ///   - values: The values to which the tail was fitted.
    ///   - samples: The number of samples, each as long as the values.
    ///   - seed: The same seed gives the same share.
    /// - Returns: From 0 to 1; nil if `samples` is not positive.
    /// - Complexity: One fit per sample.
    func goodnessOfFit(of values: [Double], samples: Int = 1_000, seed: UInt64 = 0) -> Double? {
        let logarithms = values.filter { $0 > 0 }.map { log($0) }
        let start = log(from)
        let body = logarithms.filter { $0 < start }
        guard samples > 0, !logarithms.isEmpty else { return nil }
        let inTail = Double(logarithms.count - body.count) / Double(logarithms.count)
        var random = SplitMix64(seed: seed)
        var farther = 0
        for _ in 0..<samples {
            let sample = logarithms.map { _ -> Double in
                let isOfTail = body.isEmpty || Double.random(in: 0..<1, using: &random) < inTail
                guard isOfTail else { return body[Int.random(in: body.indices, using: &random)] }
                return start - log(1 - Double.random(in: 0..<1, using: &random)) / (exponent - 1)
            }
            // A sample without a fit counts as infinitely far from its fit.
            let fit = PowerLawTail(descendingLogarithms: sample.sorted(by: >))
            if (fit?.distance ?? .infinity) >= distance { farther += 1 }
        }
        return Double(farther) / Double(samples)
    }
}
