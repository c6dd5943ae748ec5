import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Curvature

@Suite("Factors fitted to the oracle's models")
struct OracleFactorTests {
    @Test("have the spectra that kronfluence finds", arguments: Oracle.all)
    func spectra(_ oracle: Oracle) throws {
        let checkpoint = try oracle.checkpoint()
        let sequences = try oracle.sequences()
        let fitted = try FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest, source: .init(sequences), fisher: .empirical
        ).run()
        let expected = try FactorFile.load(
            folder: oracle.factorFolder, for: checkpoint.decoder, modelDigest: checkpoint.digest)
        #expect(fitted.tracked.layers.map(\.name) == expected.tracked.layers.map(\.name))
        for (ours, theirs) in zip(fitted.layers, expected.layers) {
            expectSpectrum(ours.activationValues, theirs.activationValues)
            expectSpectrum(ours.gradientValues, theirs.gradientValues)
            expectSpectrum(
                ours.eigenvalues.elements.map(Double.init).sorted(),
                theirs.eigenvalues.elements.map(Double.init).sorted())
            #expect(abs(ours.defaultDamping - theirs.defaultDamping) < 1e-3 * theirs.defaultDamping)
        }
    }

    private func expectSpectrum(_ found: [Double], _ expected: [Double]) {
        let largest = expected.max() ?? 0
        #expect(found.count == expected.count && largest > 0)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-3 * largest })
    }
}

extension FactorFit.Source {
    init(_ sequences: [[Int32]]) {
        self.init(count: sequences.count, digest: "test") { Array(sequences[$0]) }
    }
}
