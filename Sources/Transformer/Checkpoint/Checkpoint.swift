import Foundation
import JSON
import Tokenizer

/// A model with its tokenizer, read from a Hugging Face folder or a GGUF file.
public struct Checkpoint: Sendable {
    /// The path that the model was read from.
    public let folder: String
    public let decoder: DecoderModel
    public let tokenizer: Tokenizer
    /// SHA-256 of description and weights, by which factors and corpora refer to the model.
    public let digest: String

    /// Loads a folder with `config.json`, `tokenizer.json` and safetensors; a GGUF file; or a folder with one GGUF file and no
    /// `config.json`.
    ///
    /// - Throws: ``CheckpointError``, ``SafetensorsError``, ``GGUFError`` or ``TokenizerError``, which name the file and field at fault.
    ///   Everything is checked here: shapes, finite values, and that the vocabularies of tokenizer and model match.
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

    /// Loads the model without its tokenizer.
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
        return try WeightReader.decoder(description, names: family.names, tensors: try source.tensors())
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

/// The files of a PEFT adapter, which change a model in this folder or elsewhere.
///
/// transformers applies an adapter that it finds in a folder. Tributary does not, so it refuses the folder rather than load the model
/// without its adapter.
enum AdapterFiles {
    static let configurationName = "adapter_config.json"
    private static let names = [configurationName, "adapter_model.safetensors", "adapter_model.bin"]
    private static let longestConfiguration = 1 << 20

    /// - Throws: ``CheckpointError/adapter(folder:file:kind:base:)`` if a folder has such files.
    static func refuse(in folder: String) throws {
        let url = URL(fileURLWithPath: folder, isDirectory: true)
        let name = names.first { FileManager.default.fileExists(atPath: url.appendingPathComponent($0).path) }
        guard let name else { return }
        let configuration = read(url.appendingPathComponent(configurationName).path)
        func text(_ field: String) -> String? {
            guard case .string(let text) = configuration?[field], !text.isEmpty else { return nil }
            return text
        }
        throw CheckpointError.adapter(
            folder: folder, file: name, kind: text("peft_type"), base: text("base_model_name_or_path"))
    }

    /// The configuration, if it can be read; the folder is refused in any case.
    private static func read(_ path: String) -> JSONTree? {
        guard let contents = try? FileContents(path: path), contents.count <= longestConfiguration,
            let bytes = try? contents.bytes(0..<contents.count)
        else { return nil }
        return try? JSONReader.read(Array(bytes))
    }
}
