import LinearAlgebra
import Testing
import Transformer

@testable import Curvature
@testable import Evaluation

@Suite("The inverse of curvature that is zero in a layer")
struct DeadLayerTests {
    private let tiny: TinyCurvature
    private let factors: EKFACFactors

    init() throws {
        tiny = try TinyCurvature.cached(.gated)
        var layers = tiny.factors.layers
        layers[1].eigenvalues = layers[1].zero
        factors = EKFACFactors(tracked: tiny.factors.tracked, layers: layers, provenance: tiny.factors.provenance)
    }

    /// Expects zeros in the layer, and elsewhere what the whole factors give.
    private func expectDead(_ inverse: some InverseCurvature, like whole: some InverseCurvature) throws {
        let found = try inverse.solve([tiny.vector]).vectors[0]
        let expected = try whole.solve([tiny.vector]).vectors[0]
        for layer in found.layers.indices {
            if layer == 1 {
                #expect(found.layers[layer].elements.allSatisfy { $0 == 0 })
            } else {
                #expect(found.layers[layer].elements == expected.layers[layer].elements)
            }
        }
    }

    @Test("is zero there, whatever the damping", arguments: [nil, 1e-6, 1] as [Double?])
    func kronecker(damping: Double?) throws {
        #expect(factors.layersWithoutCurvature == [factors.tracked.layers[1].name])
        try expectDead(
            KroneckerInverse(corrected: factors, damping: damping),
            like: KroneckerInverse(corrected: tiny.factors, damping: damping))
    }

    @Test("is zero there for a diagonal, too, where the damping is that of the layer")
    func diagonal() throws {
        let ones = ParameterVector(
            layers: tiny.vector.layers.map {
                Matrix(rows: $0.rows, columns: $0.columns, elements: [Float](repeating: 1, count: $0.count))
            })
        var dead = ones
        dead.layers[1] = factors.layers[1].zero
        try expectDead(
            DiagonalInverse(diagonal: dead, damping: factors.damping()),
            like: DiagonalInverse(diagonal: ones, damping: tiny.factors.damping()))
    }

    @Test("adds nothing to a sequence's influence on itself")
    func selfInfluence() {
        var workspace = DecoderWorkspace()
        var batch = TokenBatch()
        batch.append(tiny.sequence)
        var (tap, whole) = (SelfInfluenceTap(factors), SelfInfluenceTap(tiny.factors))
        tiny.matrix.decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &tap)
        tiny.matrix.decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &whole)
        #expect(tap.scores[0].isFinite && tap.scores[0] < whole.scores[0] && tap.scores[0] > 0)
    }
}
