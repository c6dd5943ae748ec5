import Foundation
import Tokenizer

/// A model in a GGUF file, presented like a Hugging Face checkpoint.
struct GGUFCheckpoint: CheckpointSource {
    let file: GGUFFile
    let configuration: ModelConfiguration
    private let translated: GGUFTensors

    /// Opens a file, and refuses unsupported files before any weight is read.
    ///
    /// - Throws: ``GGUFError``.
    init(path: String) throws { try self.init(file: GGUFFile(path: path)) }

    init(file: GGUFFile) throws {
        self.file = file
        if let count = try file.integer("split.count"), count > 1 {
            throw GGUFError.split(file: file.fileName, count: count)
        }
        if let kind = try file.string("general.type"), kind != "model" {
            throw file.unsupported(
                "the type \(SafetensorsError.quoted(kind)) (general.type), where \"model\" is supported"
                    + (kind == "adapter"
                        ? ": merge the adapter into its model with llama.cpp's \"llama-export-lora\"" : ""))
        }
        guard let name = try file.string("general.architecture") else {
            throw GGUFError.missingKey(key: "general.architecture", file: file.fileName)
        }
        guard let architecture = GGUFArchitecture.supported.first(where: { $0.name == name }) else {
            throw GGUFError.unsupportedArchitecture(
                file: file.fileName, found: name, supported: GGUFArchitecture.supported.map(\.name))
        }
        let fields = try GGUFFields(file: file, architecture: architecture)
        configuration = ModelConfiguration(fields: try fields.configuration())
        translated = try GGUFTensors(
            file: file, architecture: architecture, heads: fields.heads, keyValueHeads: fields.keyValueHeads)
    }

    func tensors() throws -> any TensorSource { translated }

    func tokenizer() throws -> Tokenizer { try Tokenizer(try file.tokenizerMetadata(), file: file.fileName) }

    /// The GGUF file at a path: the file itself, or the only one in a folder without a `config.json`.
    ///
    /// - Returns: Nil for other paths.
    /// - Throws: ``GGUFError/severalFiles(folder:files:)``.
    static func file(at path: String) throws -> String? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            return path.hasSuffix(".gguf") ? path : nil
        }
        guard isFolder.boolValue else { return path }
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let files = names.filter { $0.hasSuffix(".gguf") }.sorted()
        guard !names.contains("config.json"), let only = files.first else { return nil }
        guard files.count == 1 else { throw GGUFError.severalFiles(folder: path, files: files) }
        return folder.appendingPathComponent(only).path
    }
}
