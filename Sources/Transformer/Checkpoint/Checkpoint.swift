import Foundation
import JSON
import Tokenizer

/// A model with its tokenizer, read from a Hugging Face folder or a GGUF file.
public struct Checkpoint: Sendable {
    /// The path that the model was read from, or its base's.
    public let folder: String
    /// The folder of the adapter that was applied.
    public let adapter: String?
    /// The tensors of the adapter that are no low-rank change of a block's linear layer: modules that were trained whole, embeddings and
    /// the head. They count in everything except ``LayerSelection/adapter``.
    public let untrackedAdapterTensors: [String]
    public let decoder: DecoderModel
    public let tokenizer: Tokenizer
    /// SHA-256 of description, weights and adapter, by which factors and corpora refer to the model.
    public let digest: String

    /// Loads a folder with `config.json`, `tokenizer.json` and safetensors; a GGUF file; or a folder with one GGUF file and no
    /// `config.json`. The folder of a PEFT adapter stands for its base, if that is a folder, with the adapter applied.
    ///
    /// - Parameter adapter: The folder of a PEFT LoRA adapter, which is applied to the model. Its tokenizer is used if it has one.
    /// - Throws: ``CheckpointError``, ``AdapterError``, ``SafetensorsError``, ``GGUFError`` or ``TokenizerError``, which name the file and
    ///   field at fault. Everything is checked here: shapes, finite values, and that the vocabularies of tokenizer and model match.
    public init(folder: String, adapter: String? = nil) throws {
        let files = try ModelFiles(model: folder, adapter: adapter)
        self.folder = files.base
        self.adapter = files.adapter?.folder
        let source = try Self.source(at: files.base)
        decoder = try Self.decoder(from: source, adapter: files.adapter)
        untrackedAdapterTensors = files.adapter?.tensors(besides: decoder.linearLayers.map(\.name)) ?? []
        tokenizer = try files.adapter?.tokenizer() ?? source.tokenizer()
        guard tokenizer.vocabularyCount <= decoder.description.vocabulary else {
            throw CheckpointError.vocabularyMismatch(
                tokenizer: tokenizer.vocabularyCount, model: decoder.description.vocabulary)
        }
        digest = try decoder.contentDigest()
    }

    /// Loads the model without its tokenizer.
    public static func loadDecoder(folder: String, adapter: String? = nil) throws -> DecoderModel {
        let files = try ModelFiles(model: folder, adapter: adapter)
        return try decoder(from: source(at: files.base), adapter: files.adapter)
    }

    private static func source(at path: String) throws -> any CheckpointSource {
        guard let file = try GGUFCheckpoint.file(at: path) else { return try HuggingFaceFolder(path) }
        return try GGUFCheckpoint(path: file)
    }

    static func decoder(from source: any CheckpointSource, adapter: Adapter? = nil) throws -> DecoderModel {
        let family = try source.configuration.family()
        let description = try family.description(of: source.configuration)
        return try WeightReader.decoder(
            description, names: family.names, tensors: try source.tensors(), adapter: adapter)
    }
}

/// A checkpoint in any format: a configuration in the spelling of `config.json`, tensors, and a tokenizer.
protocol CheckpointSource {
    var configuration: ModelConfiguration { get }
    func tensors() throws -> any TensorSource
    func tokenizer() throws -> Tokenizer
}

/// A Hugging Face folder: `config.json`, `tokenizer.json` and safetensors.
struct HuggingFaceFolder: CheckpointSource {
    let folder: String
    let configuration: ModelConfiguration

    /// - Throws: ``CheckpointError``.
    init(_ folder: String) throws {
        let path = URL(fileURLWithPath: folder).appendingPathComponent("config.json").path
        guard let json = FileManager.default.contents(atPath: path) else {
            guard FileManager.default.fileExists(atPath: folder) else {
                throw CheckpointError.noSuchModel(path: folder)
            }
            throw CheckpointError.missingFile("config.json", folder: folder)
        }
        self.folder = folder
        configuration = try ModelConfiguration(json: json)
    }

    func tensors() throws -> any TensorSource { try SafetensorsCollection(folder: folder) }

    func tokenizer() throws -> Tokenizer { try Tokenizer(contentsOf: URL(fileURLWithPath: folder)) }
}

extension ModelConfiguration {
    /// The family that the configuration names.
    ///
    /// - Throws: ``CheckpointError``.
    func family() throws -> ModelFamily {
        guard let type = try string("model_type") else {
            throw malformed("model_type", expected: "the name of an architecture", found: "nothing")
        }
        return try ModelFamily.named(type)
    }
}
