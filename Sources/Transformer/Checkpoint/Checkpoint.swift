import Foundation
import Tokenizer

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
        try AdapterFiles.refuse(in: path)
        guard let file = try GGUFCheckpoint.file(at: path) else { return try HuggingFaceFolder(path) }
        return try GGUFCheckpoint(path: file)
    }

    static func decoder(from source: any CheckpointSource) throws -> DecoderModel {
        let family = try source.configuration.family()
        let description = try family.description(of: source.configuration)
        var reader = WeightReader(tensors: try source.tensors(), names: family.names)
        return try reader.decoder(description)
    }
}
