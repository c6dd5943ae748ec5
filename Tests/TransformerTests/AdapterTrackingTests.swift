import LinearAlgebra
import Testing

@testable import Transformer

@Suite("The tracked matrices of an adapter")
struct AdapterTrackingTests {
    @Test("get the gradients that autograd gives them, and nothing else is tracked", arguments: AdapterFixture.all)
    func gradients(fixture: AdapterFixture) throws {
        let decoder = try fixture.decoder()
        let expected = try fixture.expected()
        let tracked = TrackedLayers(of: decoder, .adapter)
        var batch = TokenBatch()
        for sequence in try fixture.sequences() { batch.append(sequence) }
        var tap = GradientSumTap(tracked)
        var workspace = DecoderWorkspace()
        decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        let prefix = "gradients."
        #expect(
            Set(tracked.layers.map { prefix + $0.name }) == Set(expected.tensors.keys.filter { $0.hasPrefix(prefix) }))
        for layer in tracked.layers {
            let reference = try expected.matrix(named: prefix + layer.name, rows: layer.outputs, columns: layer.inputs)
            let found = tap.sum.layers[layer.index]
            let largest = reference.elements.map { abs($0) }.max() ?? 0
            let worst = zip(found.elements, reference.elements).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst < 1e-3 * largest, "\(layer.name)")
        }
    }

    @Test("leave the gradients of the layers themselves as they are, and are not tracked with these")
    func layers() throws {
        let decoder = try AdapterFixture.named("llama-linear").decoder()
        let names = TrackedLayers(of: decoder, .all).layers.map(\.name)
        #expect(names.count == 14 && !names.contains { $0.contains("lora") })
        let both = TrackedLayers(of: decoder, [.all, .adapter])
        #expect(both.layers.count == 42)
        #expect(both.layers.allSatisfy { both[$0.name] == $0 })
    }

    @Test("name as their inputs' owner the first that reads the very same inputs", arguments: AdapterFixture.all)
    func inputOwners(fixture: AdapterFixture) throws {
        let decoder = try fixture.decoder()
        expectInputOwners(of: TrackedLayers(of: decoder, .adapter), in: decoder, try fixture.sequences())
    }

    @Test("move the model along a direction as their tangents say", arguments: ["llama-patterns", "gpt2-adapter-bias"])
    func tangents(name: String) throws {
        let decoder = try AdapterFixture.named(name).decoder()
        let tracked = TrackedLayers(of: decoder, .adapter)
        let direction = ParameterVector(normalOf: tracked, seed: 3)
        var batch = TokenBatch()
        batch.append([5, 17, 3, 5, 56, 41])
        let positions = Array(0..<6)
        var workspace = DecoderWorkspace()
        var tangentWorkspace = TangentWorkspace()
        let tangents = decoder.logitTangents(
            of: batch, at: positions, along: direction, tracked: tracked, in: &workspace, &tangentWorkspace)
        let step = 1e-3
        var slopes = decoder.displaced(along: direction, tracked: tracked, by: step)
            .logits(of: batch, at: positions, in: &workspace)
        slopes.add(
            decoder.displaced(along: direction, tracked: tracked, by: -step)
                .logits(of: batch, at: positions, in: &workspace), scaledBy: -1)
        slopes.scale(by: Float(1 / (2 * step)))
        let norm = tangents.squaredNorm.squareRoot()
        slopes.add(tangents, scaledBy: -1)
        #expect(norm > 1)
        #expect(slopes.squaredNorm.squareRoot() < 0.02 * norm)
    }

    @Test("move with their layer's weight: a displaced model is that of the moved matrices")
    func displacement() throws {
        let decoder = try AdapterFixture.named("gpt2-adapter-bias").decoder()
        let tracked = TrackedLayers(of: decoder, .adapter)
        let direction = ParameterVector(normalOf: tracked, seed: 4)
        let there = decoder.displaced(along: direction, tracked: tracked, by: 0.3)
        let back = there.displaced(along: direction, tracked: tracked, by: -0.3)
        for (own, other) in zip(back.linearLayers, decoder.linearLayers) {
            #expect(zip(own.weight.elements, other.weight.elements).allSatisfy { abs($0 - $1) < 1e-4 }, "\(own.name)")
        }
        let (before, after) = (decoder.blocks[0].attention.inputs[0], there.blocks[0].attention.inputs[0])
        let (old, new) = (try #require(before.adapter), try #require(after.adapter))
        #expect(old.down != new.down && old.up != new.up)
        var change = after.weight
        change.add(before.weight, scaledBy: -1)
        change.add(new.product(columns: change.columns), scaledBy: -1)
        change.add(old.product(columns: change.columns))
        #expect(change.elements.allSatisfy { abs($0) < 1e-4 })
    }
}
