import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A displaced model")
struct DisplacementTests {
    private static let sequence: [Int32] = [5, 17, 3, 5, 56, 41, 17, 0, 8]

    private func loss(_ decoder: DecoderModel) -> Double {
        var batch = TokenBatch()
        batch.append(Self.sequence)
        var workspace = DecoderWorkspace()
        return decoder.losses(of: batch, in: &workspace).sum(over: 0..<Self.sequence.count)
    }

    @Test(
        "changes its loss by the gradient along the direction",
        arguments: FiniteDifferenceTests.models, [LayerSelection.feedForward, .all])
    func slope(model: String, selection: LayerSelection) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: decoder, selection)
        var batch = TokenBatch()
        batch.append(Self.sequence)
        var workspace = DecoderWorkspace()
        var tap = GradientSumTap(tracked)
        decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        let step = 3e-3 / tap.sum.norm
        let forward = loss(decoder.displaced(along: tap.sum, tracked: tracked, by: step))
        let backward = loss(decoder.displaced(along: tap.sum, tracked: tracked, by: -step))
        let expected = 2 * step * tap.sum.squaredNorm
        #expect(abs(forward - backward - expected) < 0.02 * abs(expected))
    }

    @Test("shares what is not tracked with the model it comes from, and leaves that as it was")
    func sharing() throws {
        let decoder = try ModelFixture(name: "llama-grouped-tied").decoder()
        let tracked = TrackedLayers(of: decoder)
        let before = loss(decoder)
        let moved = decoder.displaced(
            along: ParameterVector(normalOf: tracked, seed: 1), tracked: tracked, by: 0.1)
        #expect(loss(decoder) == before)
        #expect(loss(moved) != before)
        #expect(moved.tokenEmbedding.storageIdentifier == decoder.tokenEmbedding.storageIdentifier)
        #expect(
            moved.blocks[0].attention.output.weight.storageIdentifier
                == decoder.blocks[0].attention.output.weight.storageIdentifier)
        #expect(
            moved.blocks[0].feedForward?.up.weight.storageIdentifier
                != decoder.blocks[0].feedForward?.up.weight.storageIdentifier)
    }
}
