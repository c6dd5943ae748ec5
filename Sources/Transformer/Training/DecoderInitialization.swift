import LinearAlgebra

extension DecoderModel {
    /// A decoder with random weights: normal with deviation 0.02, the layers that write to the residual stream scaled down by
    /// the square root of their number (Radford et al. 2019), gains 1 and biases 0.
    ///
    /// - Throws: ``CheckpointError/unsupportedArchitecture(found:supported:)``
    public init(initializing description: DecoderDescription, seed: UInt64) throws {
        let names = try ModelFamily.named(description.architecture).names
        var generator = SplitMix64(seed: seed)
        let width = description.width
        let residualDeviation = 0.02 / Float(2 * description.layers).squareRoot()
        func normal(_ rows: Int, _ columns: Int, deviation: Float = 0.02) -> Matrix {
            var matrix = Matrix(rows: rows, columns: columns)
            matrix.withMutableSpan { span in
                for index in span.indices { span[index] = deviation * generator.nextNormal() }
            }
            return matrix
        }
        func linear(_ name: String, _ inputs: Int, _ outputs: Int, hasBias: Bool, deviation: Float = 0.02)
            -> LinearLayer
        {
            var weight = normal(outputs, inputs + (hasBias ? 1 : 0), deviation: deviation)
            if hasBias { weight.fillColumn(inputs, with: 0) }
            return LinearLayer(name: name, weight: weight, hasBias: hasBias)
        }
        func norm(_ name: String, width: Int = description.width) -> Normalization {
            Normalization(
                name: name, gain: Matrix(rows: 1, columns: width, elements: [Float](repeating: 1, count: width)),
                bias: description.normalization.hasBias ? Matrix(rows: 1, columns: width) : nil,
                kind: description.normalization, epsilon: description.normalizationEpsilon,
                gainOffset: description.gainOffset)
        }
        let embedding = normal(description.vocabulary, width)
        let positions = description.position == .learned ? normal(description.contextLength, width) : nil
        let blocks = (0..<description.layers).map { index in
            let prefix = names.blockPrefix + "\(index)."
            let inner = description.feedForwardWidth
            let isNormWide = description.attention.queryKeyNorm == .wholeWidth
            return Block(
                attentionNorm: names.attentionNorm.map { norm(prefix + $0) },
                attention: Attention(
                    description, layer: index,
                    inputs: zip(names.attentionInputs, description.attentionInputWidths).map {
                        linear(prefix + $0, width, $1, hasBias: description.attentionInputBias)
                    },
                    output: linear(
                        prefix + names.attentionOutput, description.queryWidth, width,
                        hasBias: description.attentionOutputBias, deviation: residualDeviation),
                    queryNorm: names.queryNorm.map {
                        norm(prefix + $0, width: isNormWide ? description.queryWidth : description.headWidth)
                    },
                    keyNorm: names.keyNorm.map {
                        norm(prefix + $0, width: isNormWide ? description.keyValueWidth : description.headWidth)
                    }),
                attentionOutputNorm: names.attentionOutputNorm.map { norm(prefix + $0) },
                feedForwardNorm: names.feedForwardNorm.map { norm(prefix + $0) },
                feedForward: FeedForward(
                    gate: names.gate.map { linear(prefix + $0, width, inner, hasBias: description.feedForwardBias) },
                    up: linear(prefix + names.up, width, inner, hasBias: description.feedForwardBias),
                    down: linear(
                        prefix + names.down, inner, width, hasBias: description.feedForwardBias,
                        deviation: residualDeviation), kind: description.feedForward),
                feedForwardOutputNorm: names.feedForwardOutputNorm.map { norm(prefix + $0) },
                isParallel: description.isParallel)
        }
        self.init(
            description: description, tokenEmbedding: embedding, positionEmbedding: positions, blocks: blocks,
            finalNorm: norm(names.finalNorm),
            untiedHead: description.isHeadTied ? nil : normal(description.vocabulary, width),
            headBias: description.headBias ? Matrix(rows: 1, columns: description.vocabulary) : nil)
    }

    /// Hands every parameter to the body for changing, under the name that ``ParameterGradients`` uses for its gradient.
    ///
    /// Linear layers come with their bias as the last column; a tied head comes once, as the token embedding.
    mutating func updateParameters(_ body: (_ name: String, _ parameter: inout Matrix) -> Void) {
        func update(_ norm: inout Normalization) {
            guard norm.kind.hasGain else { return }
            body(norm.name + ".gain", &norm.gain)
            if var bias = norm.bias.take() {
                body(norm.name + ".bias", &bias)
                norm.bias = bias
            }
        }
        func update(_ optional: inout Normalization?) {
            guard var norm = optional.take() else { return }
            update(&norm)
            optional = norm
        }
        func update(_ optional: inout QueryKeyNormalization?) {
            guard var queryKeyNorm = optional.take() else { return }
            update(&queryKeyNorm.norm)
            optional = queryKeyNorm
        }
        body(ParameterGradients.tokenEmbedding, &tokenEmbedding)
        if var positions = positionEmbedding.take() {
            body(ParameterGradients.positionEmbedding, &positions)
            positionEmbedding = positions
        }
        for index in blocks.indices {
            update(&blocks[index].attentionNorm)
            for input in blocks[index].attention.inputs.indices {
                body(blocks[index].attention.inputs[input].name, &blocks[index].attention.inputs[input].weight)
            }
            update(&blocks[index].attention.queryNorm)
            update(&blocks[index].attention.keyNorm)
            body(blocks[index].attention.output.name, &blocks[index].attention.output.weight)
            update(&blocks[index].attentionOutputNorm)
            update(&blocks[index].feedForwardNorm)
            if var gate = blocks[index].feedForward.gate.take() {
                body(gate.name, &gate.weight)
                blocks[index].feedForward.gate = gate
            }
            body(blocks[index].feedForward.up.name, &blocks[index].feedForward.up.weight)
            body(blocks[index].feedForward.down.name, &blocks[index].feedForward.down.weight)
            update(&blocks[index].feedForwardOutputNorm)
        }
        update(&finalNorm)
        if var head = untiedHead.take() {
            body(ParameterGradients.head, &head)
            untiedHead = head
        }
        if var bias = headBias.take() {
            body(ParameterGradients.headBias, &bias)
            headBias = bias
        }
    }
}
