import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A decoder")
struct DecoderTests {
    @Test("gives the logits that transformers gives", arguments: ModelFixture.all)
    func logits(_ fixture: ModelFixture) throws {
        let decoder = try fixture.decoder()
        let sequences = try fixture.sequences()
        let expected = try fixture.expected().doubles(named: "logits")
        let width = sequences.map(\.count).max() ?? 0
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        let logits = decoder.logits(of: batch, at: Array(batch.tokens.indices), in: &workspace)
        let vocabulary = decoder.description.vocabulary
        var worst = 0.0
        for (row, range) in batch.sequences.enumerated() {
            for (position, index) in range.enumerated() {
                for token in 0..<vocabulary {
                    let reference = expected[(row * width + position) * vocabulary + token]
                    worst = max(worst, abs(Double(logits[index, token]) - reference))
                }
            }
        }
        #expect(worst < 1e-4)
    }

    @Test("gives the summed losses that transformers gives", arguments: ModelFixture.all)
    func losses(_ fixture: ModelFixture) throws {
        let decoder = try fixture.decoder()
        let expected = try fixture.expected().doubles(named: "losses")
        var batch = TokenBatch()
        for sequence in try fixture.sequences() { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        let losses = decoder.losses(of: batch, in: &workspace)
        for (range, reference) in zip(batch.sequences, expected) {
            #expect(abs(losses.sum(over: range) - reference) < 1e-4 * abs(reference))
        }
    }

    @Test("gives every parameter the gradient that autograd gives it", arguments: ModelFixture.all)
    func gradients(_ fixture: ModelFixture) throws {
        let decoder = try fixture.decoder()
        let expected = try fixture.expected()
        let parameters = try decoder.gradient(of: try fixture.sequences()).namedParameters()
        #expect(parameters.count == expected.tensors.keys.filter { $0.hasPrefix("gradients.") }.count)
        for parameter in parameters {
            let name =
                "gradients."
                + (expected.tensors["gradients." + parameter.name] == nil
                    ? String(parameter.name.dropFirst("transformer.".count)) : parameter.name)
            let reference = try expected.doubles(named: name)
            let largest = reference.map(abs).max() ?? 0
            let worst = zip(parameter.values.elements, reference).map { abs(Double($0) - $1) }.max() ?? 0
            #expect(largest > 0, "\(parameter.name) has a gradient to compare")
            #expect(worst < 1e-3 * largest, "\(parameter.name)")
        }
    }

    @Test("does not depend on how sequences are packed", arguments: ["gpt2", "llama-grouped-tied"])
    func packing(name: String) throws {
        let fixture = ModelFixture(name: name)
        let decoder = try fixture.decoder()
        let sequences = try fixture.sequences()
        var together = TokenBatch()
        for sequence in sequences { together.append(sequence) }
        var workspace = DecoderWorkspace()
        let packed = decoder.losses(of: together, in: &workspace)
        for (range, sequence) in zip(together.sequences, sequences) {
            var alone = TokenBatch()
            alone.append(sequence)
            let single = decoder.losses(of: alone, in: &workspace)
            for (a, b) in zip(packed.losses[range], single.losses) { #expect(abs(a - b) < 1e-4 * max(1, abs(b))) }
        }
    }

    @Test("attends to sequences longer than one block of queries as if they were one")
    func longSequences() throws {
        let fixture = ModelFixture(name: "llama-grouped-tied")
        var decoder = try fixture.decoder()
        var description = decoder.description
        description.contextLength = 300
        decoder = DecoderModel(
            description: description, tokenEmbedding: decoder.tokenEmbedding, positionEmbedding: nil,
            blocks: decoder.blocks, finalNorm: decoder.finalNorm, untiedHead: decoder.untiedHead)
        var generator = SplitMix64(seed: 5)
        let sequence = (0..<300).map { _ in Int32(generator.next() % UInt64(description.vocabulary)) }
        var workspace = DecoderWorkspace()
        var whole = TokenBatch()
        whole.append(sequence)
        let losses = decoder.losses(of: whole, in: &workspace)
        // A causal model's losses on a prefix are those it has there in the whole.
        var prefix = TokenBatch()
        prefix.append(Array(sequence[..<100]))
        let shorter = decoder.losses(of: prefix, in: &workspace)
        for position in 0..<99 { #expect(abs(losses.losses[position] - shorter.losses[position]) < 1e-4) }
        #expect(losses.losses[298] != 0)
    }

    @Test("keeps its buffers: a second batch of the same size allocates no matrix")
    func steadyState() throws {
        let fixture = ModelFixture(name: "llama-grouped-tied")
        let decoder = try fixture.decoder()
        var batch = TokenBatch()
        for sequence in try fixture.sequences() { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        var tap = CountingTap()
        let tracked = TrackedLayers(of: decoder)
        decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        let first = workspace.blockIdentifiers
        decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        #expect(first == workspace.blockIdentifiers)
        #expect(tap.layers == 2 * tracked.layers.count)
    }

    @Test("draws labels from its own distribution, not from the data")
    func sampledLabels() throws {
        let fixture = ModelFixture(name: "llama-grouped-tied")
        let decoder = try fixture.decoder()
        let sequence: [Int32] = [3, 7, 11]
        var counts = [Int](repeating: 0, count: decoder.description.vocabulary)
        let draws = 4_000
        var workspace = DecoderWorkspace()
        var batch = TokenBatch()
        for key in 0..<draws { batch.append(sequence, labels: .sampled(seed: 1, key: UInt64(key))) }
        let labels = decoder.losses(of: batch, in: &workspace).labels
        for range in batch.sequences { counts[Int(labels[range.lowerBound])] += 1 }
        var single = TokenBatch()
        single.append(sequence)
        let logits = decoder.logits(of: single, at: [0], in: &workspace).elements.map(Double.init)
        let largest = logits.max() ?? 0
        let weights = logits.map { Foundation.exp($0 - largest) }
        let total = weights.reduce(0, +)
        // Pearson's chi-squared over the labels that are expected at least five times.
        var statistic = 0.0
        var cells = 0
        for (count, weight) in zip(counts, weights) where weight / total * Double(draws) >= 5 {
            let expected = weight / total * Double(draws)
            statistic += (Double(count) - expected) * (Double(count) - expected) / expected
            cells += 1
        }
        // Mean `cells`, deviation sqrt(2 cells): five deviations.
        #expect(cells > 10)
        #expect(statistic < Double(cells) + 5 * (2 * Double(cells)).squareRoot())
    }

    @Test("draws the same labels however sequences are batched")
    func sampledLabelsAndBatching() throws {
        let decoder = try ModelFixture(name: "gpt2").decoder()
        let sequences: [[Int32]] = [[1, 2, 3, 4], [9, 8, 7], [5, 5, 5, 5, 5]]
        var workspace = DecoderWorkspace()
        var together = TokenBatch()
        for (key, sequence) in sequences.enumerated() {
            together.append(sequence, labels: .sampled(seed: 3, key: UInt64(key)))
        }
        let labels = decoder.losses(of: together, in: &workspace).labels
        for (key, sequence) in sequences.enumerated() {
            var alone = TokenBatch()
            alone.append(sequence, labels: .sampled(seed: 3, key: UInt64(key)))
            #expect(decoder.losses(of: alone, in: &workspace).labels == Array(labels[together.sequences[key]]))
        }
    }
}

private struct CountingTap: GradientTap {
    var layers = 0
    mutating func record(_ pass: LayerPass) { layers += 1 }
}

extension DecoderWorkspace {
    /// Where the matrices of the workspace lie.
    fileprivate var blockIdentifiers: [ObjectIdentifier] {
        var matrices = residuals + [residualGradients, normalizedGradients, finalNorm.outputs]
        for block in blocks {
            matrices += [
                block.attentionNorm.outputs, block.attention.projected, block.attention.mixed,
                block.feedForwardNorm.outputs, block.feedForward.up, block.feedForward.gate,
                block.feedForward.activated,
            ]
        }
        matrices += [
            attention.weights, attention.projectedGradients, feedForward.upGradients, loss.logits, loss.hidden,
        ]
        return matrices.map(\.storageIdentifier)
    }
}

extension DecoderModel {
    /// A decoder whose parameters are the gradients of the summed loss.
    func gradient(of sequences: [[Int32]]) throws -> DecoderModel {
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        var tap = ParameterGradients(of: self)
        run(batch, in: &workspace, tracked: TrackedLayers(of: self, .all), tap: &tap)
        var gradient = self
        gradient.updateParameters { name, parameter in
            if let value = tap.gradients[name] { parameter = value }
        }
        return gradient
    }
}
