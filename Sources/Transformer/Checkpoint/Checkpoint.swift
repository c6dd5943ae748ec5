import Foundation
import LinearAlgebra

/// A model with its tokenizer, read from a Hugging Face folder or a GGUF file.
public struct Checkpoint: Sendable {
    /// The path that the model was read from.
    public let folder: String
    public let decoder: DecoderModel
    public let tokenizer: Tokenizer
    /// SHA-256 of description and weights: what factors and corpora refer to.
    public let digest: String

    /// Loads a folder with `config.json`, `tokenizer.json` and safetensors; a GGUF file; or a folder with one GGUF file and no
    /// `config.json`.
    ///
    /// - Throws: ``CheckpointError``, ``SafetensorsError``, ``GGUFError`` or ``TokenizerError``, each naming file and field at
    ///   fault. Everything is checked here: shapes, finite values, and that tokenizer and model have one vocabulary.
    public init(folder: String) throws {
        self.folder = folder
        let source = try Self.source(at: folder)
        decoder = try Self.decoder(from: source)
        tokenizer = try source.tokenizer()
        guard tokenizer.vocabularyCount <= decoder.description.vocabulary else {
            throw CheckpointError.vocabularyMismatch(
                tokenizer: tokenizer.vocabularyCount, model: decoder.description.vocabulary)
        }
        digest = try decoder.contentDigest()
    }

    /// Loads the model alone, without its tokenizer.
    public static func loadDecoder(folder: String) throws -> DecoderModel {
        try decoder(from: source(at: folder))
    }

    private static func source(at path: String) throws -> any CheckpointSource {
        guard let file = try GGUFCheckpoint.file(at: path) else { return try HuggingFaceFolder(path) }
        return try GGUFCheckpoint(path: file)
    }

    private static func decoder(from source: any CheckpointSource) throws -> DecoderModel {
        let family = try source.configuration.family()
        let description = try family.describe(source.configuration)
        return try WeightReader(tensors: source.tensors(), names: family.names).decoder(description)
    }
}

/// Reads a decoder's weights under a family's names.
private struct WeightReader {
    let tensors: any TensorSource
    let names: TensorNames

    func decoder(_ description: DecoderDescription) throws -> DecoderModel {
        let width = description.width
        var isTied = description.isHeadTied
        // Some configurations leave the field out; a head of its own in the file decides.
        if isTied, tensors.contains(names.head + ".weight") { isTied = false }
        var description = description
        description.isHeadTied = isTied
        return DecoderModel(
            description: description,
            tokenEmbedding: try matrix(names.tokenEmbedding, rows: description.vocabulary, columns: width),
            positionEmbedding: try names.positionEmbedding.map {
                try matrix($0, rows: description.contextLength, columns: width)
            },
            blocks: try (0..<description.layers).map { try block($0, description) },
            finalNorm: try normalization(names.finalNorm, description),
            untiedHead: isTied ? nil : try matrix(names.head, rows: description.vocabulary, columns: width))
    }

    private func block(_ index: Int, _ description: DecoderDescription) throws -> DecoderModel.Block {
        let prefix = names.blockPrefix + "\(index)."
        let width = description.width
        let inner = description.feedForwardWidth
        let outputs =
            description.attentionInput == .fused
            ? [description.projectedWidth]
            : [description.queryWidth, description.keyValueWidth, description.keyValueWidth]
        return DecoderModel.Block(
            attentionNorm: try normalization(prefix + names.attentionNorm, description),
            attention: Attention(
                inputs: try zip(names.attentionInputs, outputs).map { name, outputs in
                    try linear(prefix + name, width, outputs, hasBias: description.attentionInputBias)
                },
                output: try linear(
                    prefix + names.attentionOutput, description.queryWidth, width,
                    hasBias: description.attentionOutputBias),
                heads: description.heads, keyValueHeads: description.keyValueHeads, headWidth: description.headWidth),
            feedForwardNorm: try normalization(prefix + names.feedForwardNorm, description),
            feedForward: FeedForward(
                gate: try names.gate.map {
                    try linear(prefix + $0, width, inner, hasBias: description.feedForwardBias)
                },
                up: try linear(prefix + names.up, width, inner, hasBias: description.feedForwardBias),
                down: try linear(prefix + names.down, inner, width, hasBias: description.feedForwardBias)))
    }

    private func normalization(_ name: String, _ description: DecoderDescription) throws -> Normalization {
        Normalization(
            name: name, gain: try vector(name + ".weight", count: description.width),
            bias: description.normalization == .layer ? try vector(name + ".bias", count: description.width) : nil,
            kind: description.normalization, epsilon: description.normalizationEpsilon)
    }

    private func linear(_ name: String, _ inputs: Int, _ outputs: Int, hasBias: Bool) throws -> LinearLayer {
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

    private func matrix(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        try tensors.matrix(named: try stored(name + ".weight"), rows: rows, columns: columns)
    }

    private func vector(_ name: String, count: Int) throws -> Matrix {
        try tensors.matrix(named: try stored(name), rows: 1, columns: count)
    }

    /// The name under which a tensor is stored: as it is, or without the prefix that some checkpoints leave out.
    private func stored(_ name: String) throws -> String {
        if tensors.contains(name) { return name }
        let short = String(name.dropFirst(names.optionalPrefix.count))
        if !names.optionalPrefix.isEmpty, name.hasPrefix(names.optionalPrefix), tensors.contains(short) { return short }
        throw CheckpointError.missingTensor(name, folder: tensors.place)
    }
}
