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
        var gradient = try decoder.gradient(of: try fixture.sequences())
        gradient.removeGainOffsets()
        let parameters = try gradient.namedParameters()
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

    @Test("does not depend on how sequences are packed", arguments: ModelFixture.all)
    func packing(fixture: ModelFixture) throws {
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
        var description = try fixture.decoder().description
        description.contextLength = 300
        let decoder = try fixture.decoder().with(description)
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

    @Test("attends through a window across blocks of queries, forward and backward", arguments: ["mistral", "gemma3"])
    func longWindows(name: String) throws {
        let fixture = ModelFixture(name: name)
        var description = try fixture.decoder().description
        description.contextLength = 300
        // So wide that the second block sees tokens of the first, but not all; narrower than a block; and none.
        description.attention.windows = [100, 9, nil].prefix(description.layers).map { $0 }
        let decoder = try fixture.decoder().with(description)
        var generator = SplitMix64(seed: 6)
        let sequence = (0..<150).map { _ in Int32(generator.next() % UInt64(description.vocabulary)) }
        let reference = ReferenceDecoder(decoder)
        var batch = TokenBatch()
        batch.append(sequence)
        var workspace = DecoderWorkspace()
        let loss = decoder.losses(of: batch, in: &workspace).sum(over: 0..<sequence.count)
        #expect(abs(loss - reference.loss(of: [sequence])) < 1e-5 * loss)
        var gradient = try decoder.gradient(of: [sequence])
        var gradients: [String: [Double]] = [:]
        gradient.updateParameters { gradients[$0] = $1.elements.map(Double.init) }
        for name in decoder.blocks[0].attention.inputs.map(\.name) {
            let values = try #require(gradients[name])
            let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
            // Along the gradient itself, the slope is its length.
            var (ahead, behind) = (reference, reference)
            for index in values.indices {
                ahead.parameters[name]?.values[index] += 1e-4 * values[index] / length
                behind.parameters[name]?.values[index] -= 1e-4 * values[index] / length
            }
            let slope = (ahead.loss(of: [sequence]) - behind.loss(of: [sequence])) / 2e-4
            #expect(abs(slope - length) < 1e-3 * length, "\(name)")
        }
    }

    @Test("is described alike by its checkpoint and by random weights", arguments: ModelFixture.families)
    func initialization(name: String) throws {
        let decoder = try ModelFixture(name: name).decoder()
        let random = try DecoderModel(initializing: decoder.description, seed: 1)
        let (stored, initial) = (try decoder.namedParameters(), try random.namedParameters())
        #expect(stored.map(\.name) == initial.map(\.name))
        #expect(stored.map(\.shape) == initial.map(\.shape))
        #expect(decoder.parameterCount == stored.reduce(0) { $0 + $1.values.count })
        #expect(try decoder.contentDigest() != random.contentDigest())
        let file = try SafetensorsFile(path: ModelFixture.folder(name) + "/model.safetensors")
        #expect(stored.allSatisfy { file.tensors[$0.name] != nil })
        #expect(stored.count == file.tensors.count)
    }

    @Test("has another digest if an option differs that its weights do not tell")
    func digests() throws {
        let decoder = try ModelFixture(name: "gemma3").decoder()
        let changes: [(inout DecoderDescription) -> Void] = [
            { $0.attention.windows[0] = 7 }, { $0.attention.scale = 0.7 }, { $0.attention.scoreCap = 3 },
            { $0.attention.projectionLimit = 3 }, { $0.logitCap = 2 }, { $0.embeddingScale = 2 },
            { $0.feedForward = .gatedSilu }, { $0.normalizationEpsilon = 1e-3 }, { $0.contextLength = 11 },
            { $0.position = .rotary(RotaryEmbedding(base: 500, width: 6)) }, { $0.isParallel = true },
        ]
        var digests: Set<String> = [try decoder.contentDigest()]
        for change in changes {
            var description = decoder.description
            change(&description)
            digests.insert(try decoder.with(description).contentDigest())
        }
        #expect(digests.count == changes.count + 1)
    }

    @Test(
        "keeps its buffers: a second batch of the same size allocates no matrix",
        arguments: ["llama-grouped-tied", "gemma2", "gemma3", "phi", "gpt-neox", "olmo", "olmo2"])
    func steadyState(name: String) throws {
        let fixture = ModelFixture(name: name)
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
        var matrices =
            residuals + attentionOutputs + feedForwardOutputs + [
                attentionInputs.outputs, feedForwardInputs.outputs, branchOutputs.outputs, residualGradients,
                normalizedGradients, feedForwardInputGradients, branchGradients, finalNorm.outputs,
            ]
        for block in blocks {
            matrices += [
                block.attention.projected, block.attention.unlimited, block.attention.queryNorm.inputs,
                block.attention.queryNorm.norm.outputs,
                block.feedForward.up, block.feedForward.gate,
            ]
        }
        matrices += [
            attention.weights, attention.mixed, attention.projectedGradients, attention.cappedScores,
            attention.norm.inputGradients, feedForward.activated, feedForward.upGradients, loss.logits, loss.hidden,
            loss.cappedLogits,
        ]
        return matrices.map(\.storageIdentifier)
    }
}

extension DecoderModel {
    /// The same weights under another description of the same shapes.
    func with(_ description: DecoderDescription) -> DecoderModel {
        let blocks = blocks.enumerated().map { index, block in
            var block = block
            block.attention = Attention(
                description, layer: index, inputs: block.attention.inputs, output: block.attention.output,
                queryNorm: block.attention.queryNorm?.norm, keyNorm: block.attention.keyNorm?.norm)
            return block
        }
        return DecoderModel(
            description: description, tokenEmbedding: tokenEmbedding, positionEmbedding: positionEmbedding,
            blocks: blocks, finalNorm: finalNorm, untiedHead: untiedHead, headBias: headBias)
    }

    /// Lets gains be stored as they are: those of gradients have no offset.
    fileprivate mutating func removeGainOffsets() {
        finalNorm.gainOffset = 0
        for index in blocks.indices {
            blocks[index].attentionNorm?.gainOffset = 0
            blocks[index].attention.queryNorm?.norm.gainOffset = 0
            blocks[index].attention.keyNorm?.norm.gainOffset = 0
            blocks[index].attentionOutputNorm?.gainOffset = 0
            blocks[index].feedForwardNorm?.gainOffset = 0
            blocks[index].feedForwardOutputNorm?.gainOffset = 0
        }
    }

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
