import Foundation
import LinearAlgebra
import Testing

@testable import Attribution

@Suite("A power law's fit")
struct PowerLawTailTests {
    /// Draws from a power law of density exponent α that begins at 1.
    private func draws(_ count: Int, exponent: Double, seed: UInt64) -> [Double] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in pow(1 - Double.random(in: 0..<1, using: &random), -1 / (exponent - 1)) }
    }

    @Test("finds the density's exponent within a few of its standard errors", arguments: [1.8, 2.5, 3.5])
    func exponent(exponent: Double) throws {
        let tail = try #require(PowerLawTail(draws(5_000, exponent: exponent, seed: 1)))
        #expect(abs(tail.exponent - exponent) < 4 * tail.standardError)
        #expect(tail.standardError < 0.2 * (exponent - 1))
        let expected = (tail.exponent - 1) / Double(tail.sequences).squareRoot()
        #expect(abs(tail.standardError - expected) < 1e-12)
        #expect(tail.distance < 0.05)
    }

    @Test("is that of greatest likelihood: 1 + n / Σ ln(s / from), over the values from the beginning on")
    func likelihood() throws {
        let values = draws(700, exponent: 2.2, seed: 2)
        let tail = try #require(PowerLawTail(values))
        let inTail = values.filter { $0 >= tail.from * (1 - 1e-12) }
        #expect(inTail.count == tail.sequences)
        let logarithms = inTail.reduce(0) { $0 + log($1 / tail.from) }
        #expect(abs(tail.exponent - (1 + Double(inTail.count) / logarithms)) < 1e-6)
    }

    @Test("leaves out what lies below the law's beginning")
    func beginning() throws {
        var random = SplitMix64(seed: 3)
        // The same number of values evenly between 0 and 1, which follow no power law.
        let body = (0..<4_000).map { _ in Double.random(in: 0.01..<1, using: &random) }
        let tail = try #require(PowerLawTail(body + draws(4_000, exponent: 2.5, seed: 4)))
        #expect(tail.from > 0.7 && tail.from < 2)
        #expect(abs(tail.exponent - 2.5) < 5 * tail.standardError)
    }

    @Test("does not depend on scale, order, or what is not positive")
    func invariance() throws {
        let values = draws(900, exponent: 2.4, seed: 5)
        let tail = try #require(PowerLawTail(values))
        let other = try #require(PowerLawTail(values.reversed().map { 1e-3 * $0 } + [0, -5, -1e9]))
        #expect(abs(other.exponent - tail.exponent) < 1e-6)
        #expect(other.sequences == tail.sequences)
        #expect(abs(other.from / tail.from - 1e-3) < 1e-9)
    }

    @Test("is none of too few values, of equal ones, or of what is not finite")
    func degenerate() {
        #expect(PowerLawTail([]) == nil)
        #expect(PowerLawTail(draws(PowerLawTail.leastSequences - 1, exponent: 2, seed: 6)) == nil)
        #expect(PowerLawTail([Double](repeating: 3, count: 200)) == nil)
        #expect(PowerLawTail(draws(200, exponent: 2, seed: 7) + [.infinity]) == nil)
        #expect(PowerLawTail((1...200).map { -Double($0) }) == nil)
    }
}
