import Attribution
import Foundation
import LinearAlgebra
import Testing

@testable import Evaluation

@Suite("A power law's goodness of fit")
struct GoodnessOfFitTests {
    /// Draws from a power law of density exponent α that begins at 1.
    private func draws(_ count: Int, exponent: Double, seed: UInt64) -> [Double] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in pow(1 - Double.random(in: 0..<1, using: &random), -1 / (exponent - 1)) }
    }

    @Test("is credible of a power law and not of an even distribution, by a seeded bootstrap")
    func goodnessOfFit() throws {
        let law = draws(600, exponent: 2.5, seed: 8)
        let tail = try #require(PowerLawTail(law))
        let credible = try #require(tail.goodnessOfFit(of: law, samples: 100, seed: 1))
        #expect(credible > 0.1)
        #expect(credible == tail.goodnessOfFit(of: law, samples: 100, seed: 1))
        var random = SplitMix64(seed: 9)
        let flat = (0..<600).map { _ in Double.random(in: 1..<2, using: &random) }
        let forced = try #require(PowerLawTail(flat))
        #expect(try #require(forced.goodnessOfFit(of: flat, samples: 50)) < 0.1)
        #expect(tail.goodnessOfFit(of: law, samples: 0) == nil)
    }
}
