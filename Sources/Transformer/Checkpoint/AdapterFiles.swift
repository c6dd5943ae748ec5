import Foundation
import JSON

/// The files of a PEFT adapter: changes to a model that stands elsewhere, or beside them.
///
/// transformers applies an adapter that it finds in a folder; here the model alone would answer in its name.
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

    /// What the configuration says, if that can be read: the folder is refused in any case.
    private static func read(_ path: String) -> JSONTree? {
        guard let contents = try? FileContents(path: path), contents.count <= longestConfiguration,
            let bytes = try? contents.bytes(0..<contents.count)
        else { return nil }
        return try? JSONReader.read(Array(bytes))
    }
}
