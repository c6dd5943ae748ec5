import LinearAlgebra

/// Makes the parameters of a decoder: reads them from a checkpoint, or draws initial values.
protocol ParameterSource {
    mutating func embedding(_ name: String, rows: Int, width: Int) throws -> Matrix

    /// - Parameter writesResidual: Whether the layer's outputs are added to the residual stream.
    mutating func linear(
        _ name: String, inputs: Int, outputs: Int, hasBias: Bool, writesResidual: Bool
    ) throws -> LinearLayer

    mutating func normalization(_ name: String, width: Int) throws -> Normalization

    /// The output head; nil if it is the token embedding.
    mutating func untiedHead(tokenEmbedding: Matrix) throws -> Matrix?

    mutating func headBias() throws -> Matrix
}

extension DecoderModel {
    /// Assembles a decoder. The source is asked for one parameter after another, always in the same order.
    init(_ description: DecoderDescription, names: TensorNames, from source: inout some ParameterSource) throws {
        let width = description.width
        let tokenEmbedding = try source.embedding(names.tokenEmbedding, rows: description.vocabulary, width: width)
        self.init(
            description: description, tokenEmbedding: tokenEmbedding,
            positionEmbedding: try names.positionEmbedding.map {
                try source.embedding($0, rows: description.contextLength, width: width)
            },
            blocks: try (0..<description.layers).map {
                try DecoderBlock(description, index: $0, names: names, from: &source)
            },
            finalNorm: try source.normalization(names.finalNorm, width: width),
            untiedHead: try source.untiedHead(tokenEmbedding: tokenEmbedding),
            headBias: description.headBias ? try source.headBias() : nil)
    }
}

extension DecoderBlock {
    fileprivate init(
        _ description: DecoderDescription, index: Int, names: TensorNames, from source: inout some ParameterSource
    ) throws {
        let prefix = names.blockPrefix + "\(index)."
        let width = description.width
        let isNormWide = description.attention.queryKeyNorm == .wholeWidth
        func norm(_ name: String?, width: Int = description.width) throws -> Normalization? {
            try name.map { try source.normalization(prefix + $0, width: width) }
        }
        func linear(
            _ name: String, from inputs: Int, to outputs: Int, hasBias: Bool, writesResidual: Bool = false
        ) throws -> LinearLayer {
            try source.linear(
                prefix + name, inputs: inputs, outputs: outputs, hasBias: hasBias, writesResidual: writesResidual)
        }
        func feedForward(gate: String?, up: String, down: String, inner: Int) throws -> FeedForward {
            let hasBias = description.feedForwardBias
            return FeedForward(
                gate: try gate.map { try linear($0, from: width, to: inner, hasBias: hasBias) },
                up: try linear(up, from: width, to: inner, hasBias: hasBias),
                down: try linear(down, from: inner, to: width, hasBias: hasBias, writesResidual: true),
                kind: description.feedForward)
        }
        let hasExperts = names.experts != nil && description.experts(ofBlock: index) != nil
        func mixture() throws -> MixtureOfExperts? {
            guard let names = names.experts, let experts = description.experts(ofBlock: index) else { return nil }
            func expert(_ module: String, inner: Int) throws -> FeedForward {
                try feedForward(
                    gate: module + names.gate, up: module + names.up, down: module + names.down, inner: inner)
            }
            return MixtureOfExperts(
                router: try linear(names.router, from: width, to: experts.count, hasBias: false),
                experts: try (0..<experts.count).map {
                    try expert("\(names.expertPrefix)\($0).", inner: experts.width)
                },
                shared: try experts.sharedWidth.map { try expert(names.sharedPrefix, inner: $0) },
                sharedGate: try experts.sharedWidth.map { _ in
                    try linear(names.sharedGate, from: width, to: 1, hasBias: false)
                },
                perToken: experts.perToken, renormalizes: experts.renormalizes)
        }
        self.init(
            attentionNorm: try norm(names.attentionNorm),
            attention: Attention(
                description, layer: index,
                inputs: try zip(names.attentionInputs, description.attentionInputWidths).map {
                    try linear($0, from: width, to: $1, hasBias: description.attentionInputBias)
                },
                output: try linear(
                    names.attentionOutput, from: description.queryWidth, to: width,
                    hasBias: description.attentionOutputBias,
                    writesResidual: true),
                queryNorm: try norm(
                    names.queryNorm, width: isNormWide ? description.queryWidth : description.headWidth),
                keyNorm: try norm(
                    names.keyNorm, width: isNormWide ? description.keyValueWidth : description.headWidth)),
            attentionOutputNorm: try norm(names.attentionOutputNorm),
            feedForwardNorm: try norm(names.feedForwardNorm),
            feedForward: hasExperts
                ? nil
                : try feedForward(
                    gate: names.gate, up: names.up, down: names.down, inner: description.feedForwardWidth),
            experts: try mixture(),
            feedForwardOutputNorm: try norm(names.feedForwardOutputNorm), isParallel: description.isParallel)
    }
}
