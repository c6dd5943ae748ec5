import Foundation
import Tokenizer

/// A checkpoint as its format presents it: a configuration in the spelling of `config.json`, tensors, and a tokenizer.
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
            throw CheckpointError.malformedConfiguration(
                field: "model_type", expected: "the name of an architecture", found: "nothing")
        }
        return try ModelFamily.named(type)
    }
}
