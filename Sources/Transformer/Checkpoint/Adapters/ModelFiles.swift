import Foundation
import Tokenizer

/// Where a model is: its checkpoint, and the adapter on it if there is one.
struct ModelFiles: Sendable {
    /// A checkpoint folder or a GGUF file.
    let base: String
    let adapter: Adapter?

    /// Finds the base of a model that is the folder of an adapter, or opens the adapter that is given beside a model.
    ///
    /// - Throws: ``AdapterError``, and ``SafetensorsError`` for a damaged adapter.
    init(model: String, adapter folder: String?) throws {
        if let folder {
            if let file = Self.adapterFile(in: model), !Self.isSame(model, folder) {
                throw AdapterError.besideModel(folder: model, file: file)
            }
            guard !folder.hasSuffix(".gguf") else { throw AdapterError.gguf(path: folder) }
            base = model
            adapter = try Adapter(folder: folder)
        } else if Self.adapterFile(in: model) != nil {
            let adapter = try Adapter(folder: model)
            self.adapter = adapter
            base = try Self.base(of: adapter)
        } else {
            base = model
            adapter = nil
        }
    }

    /// The file of an adapter that a folder has, if it has one.
    static func adapterFile(in folder: String) -> String? {
        let url = URL(fileURLWithPath: folder, isDirectory: true)
        return [AdapterConfiguration.fileName, Adapter.weightsName, Adapter.pickleName].first {
            FileManager.default.fileExists(atPath: url.appendingPathComponent($0).path)
        }
    }

    /// The folder or file that the adapter names as its base, seen from the adapter's folder.
    private static func base(of adapter: Adapter) throws -> String {
        guard let name = adapter.configuration.base else { throw AdapterError.unnamedBase(folder: adapter.folder) }
        let folder = URL(fileURLWithPath: adapter.folder, isDirectory: true)
        let path = URL(fileURLWithPath: name, relativeTo: folder).standardizedFileURL.path
        guard FileManager.default.fileExists(atPath: path) else {
            throw AdapterError.missingBase(name, folder: adapter.folder)
        }
        guard adapterFile(in: path) == nil || isSame(path, adapter.folder) else {
            throw AdapterError.baseIsAdapter(name, folder: adapter.folder)
        }
        return path
    }

    private static func isSame(_ path: String, _ other: String) -> Bool {
        func resolved(_ path: String) -> String {
            URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
        }
        return resolved(path) == resolved(other)
    }
}

extension Adapter {
    /// The tokenizer in the adapter's folder, where trainers often save it; nil if there is none, so that the base's is used.
    ///
    /// - Throws: `TokenizerError`.
    func tokenizer() throws -> Tokenizer? {
        let folder = URL(fileURLWithPath: folder, isDirectory: true)
        let file = folder.appendingPathComponent("tokenizer.json").path
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        return try Tokenizer(contentsOf: folder)
    }
}
