import LinearAlgebra

/// Reads a decoder's weights under a family's names.
struct WeightReader {
    private let tensors: any TensorSource
    private let names: TensorNames
    /// Tensors that the model reads, by the names that the source gives them.
    private var read: Set<String> = []

    init(tensors: any TensorSource, names: TensorNames) {
        self.tensors = tensors
        self.names = names
    }

    /// Reads a decoder, and makes sure that nothing of the source is left over but what the family is known to store besides.
    ///
    /// - Throws: ``CheckpointError``, and the errors of the source.
    mutating func decoder(_ description: DecoderDescription) throws -> DecoderModel {
        let width = description.width
        let tokenEmbedding = try matrix(names.tokenEmbedding, rows: description.vocabulary, columns: width)
        let decoder = DecoderModel(
            description: description, tokenEmbedding: tokenEmbedding,
            positionEmbedding: try names.positionEmbedding.map {
                try matrix($0, rows: description.contextLength, columns: width)
            },
            blocks: try (0..<description.layers).map { try block($0, description) },
            finalNorm: try normalization(names.finalNorm, description, width: width),
            untiedHead: try untiedHead(description, tokenEmbedding),
            headBias: description.headBias ? try vector(names.head + ".bias", count: description.vocabulary) : nil)
        let unread = tensors.names.filter { !read.contains($0) && !names.isBuffer($0, layers: description.layers) }
        guard unread.isEmpty else {
            throw CheckpointError.unreadTensors(unread.map(tensors.storedName), folder: tensors.place)
        }
        return decoder
    }

    private mutating func untiedHead(
        _ description: DecoderDescription, _ tokenEmbedding: Matrix
    ) throws -> Matrix? {
        func stored() throws -> Matrix {
            try matrix(names.head, rows: description.vocabulary, columns: description.width)
        }
        guard description.isHeadTied else { return try stored() }
        // Some programs store a tied head a second time.
        guard tensors.contains(names.head + ".weight") else { return nil }
        guard try stored() == tokenEmbedding else {
            throw CheckpointError.tiedHeadDiffers(
                head: tensors.storedName(of: names.head + ".weight"),
                embedding: tensors.storedName(of: try self.stored(names.tokenEmbedding + ".weight")),
                folder: tensors.place)
        }
        return nil
    }

    private mutating func block(_ index: Int, _ description: DecoderDescription) throws -> DecoderModel.Block {
        let prefix = names.blockPrefix + "\(index)."
        func norm(_ name: String?) throws -> Normalization? {
            try name.map { try normalization(prefix + $0, description, width: description.width) }
        }
        return DecoderModel.Block(
            attentionNorm: try norm(names.attentionNorm),
            attention: try attention(index, prefix, description),
            attentionOutputNorm: try norm(names.attentionOutputNorm),
            feedForwardNorm: try norm(names.feedForwardNorm), feedForward: try feedForward(prefix, description),
            feedForwardOutputNorm: try norm(names.feedForwardOutputNorm), isParallel: description.isParallel)
    }

    private mutating func attention(_ index: Int, _ prefix: String, _ description: DecoderDescription) throws
        -> Attention
    {
        let isNormWide = description.attention.queryKeyNorm == .wholeWidth
        return Attention(
            description, layer: index,
            inputs: try zip(names.attentionInputs, description.attentionInputWidths).map { name, outputs in
                try linear(prefix + name, description.width, outputs, hasBias: description.attentionInputBias)
            },
            output: try linear(
                prefix + names.attentionOutput, description.queryWidth, description.width,
                hasBias: description.attentionOutputBias),
            queryNorm: try names.queryNorm.map {
                try normalization(
                    prefix + $0, description, width: isNormWide ? description.queryWidth : description.headWidth)
            },
            keyNorm: try names.keyNorm.map {
                try normalization(
                    prefix + $0, description, width: isNormWide ? description.keyValueWidth : description.headWidth)
            })
    }

    private mutating func feedForward(_ prefix: String, _ description: DecoderDescription) throws -> FeedForward {
        let (width, inner, hasBias) = (description.width, description.feedForwardWidth, description.feedForwardBias)
        return FeedForward(
            gate: try names.gate.map { try linear(prefix + $0, width, inner, hasBias: hasBias) },
            up: try linear(prefix + names.up, width, inner, hasBias: hasBias),
            down: try linear(prefix + names.down, inner, width, hasBias: hasBias), kind: description.feedForward)
    }

    private mutating func normalization(_ name: String, _ description: DecoderDescription, width: Int) throws
        -> Normalization
    {
        let kind = description.normalization
        var gain = Matrix()
        if kind.hasGain {
            gain = try vector(name + ".weight", count: width)
            gain.add(description.gainOffset)
        } else {
            gain.resize(rows: 1, columns: width, filledWith: 1)
        }
        return Normalization(
            name: name, gain: gain, bias: kind.hasBias ? try vector(name + ".bias", count: width) : nil, kind: kind,
            epsilon: description.normalizationEpsilon, gainOffset: description.gainOffset)
    }

    private mutating func linear(_ name: String, _ inputs: Int, _ outputs: Int, hasBias: Bool) throws -> LinearLayer {
        var weight =
            names.storesTransposed
            ? try matrix(name, rows: inputs, columns: outputs).transposedCopy()
            : try matrix(name, rows: outputs, columns: inputs)
        if hasBias {
            let bias = try vector(name + ".bias", count: outputs)
            var joined = Matrix(rows: outputs, columns: inputs + 1)
            joined.copy(weight.slice, toRow: 0, column: 0)
            joined.copy(bias.transposed, toRow: 0, column: inputs)
            weight = joined
        }
        return LinearLayer(name: name, weight: weight, hasBias: hasBias)
    }

    private mutating func matrix(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        try tensor(name + ".weight", rows: rows, columns: columns)
    }

    private mutating func vector(_ name: String, count: Int) throws -> Matrix {
        try tensor(name, rows: 1, columns: count)
    }

    private mutating func tensor(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        let stored = try stored(name)
        read.insert(stored)
        return try tensors.matrix(named: stored, rows: rows, columns: columns)
    }

    /// The name under which a tensor is stored: as it is, or without the prefix that some checkpoints leave out.
    private func stored(_ name: String) throws -> String {
        if tensors.contains(name) { return name }
        var spellings = [name]
        if !names.optionalPrefix.isEmpty, name.hasPrefix(names.optionalPrefix) {
            let short = String(name.dropFirst(names.optionalPrefix.count))
            if tensors.contains(short) { return short }
            spellings.append(short)
        }
        for spelling in spellings {
            if let wrapped = tensors.names.first(where: { TensorWrapper.isWrapped(spelling, as: $0) }) {
                throw CheckpointError.wrappedTensor(spelling, stored: wrapped, folder: tensors.place)
            }
        }
        throw CheckpointError.missingTensor(name, folder: tensors.place)
    }
}
