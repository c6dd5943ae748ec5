import Files
import Foundation
import Transformer

/// Which model is used: the embedded one, a checkpoint folder or GGUF file, or one of these with an adapter.
enum ModelSource: Sendable, Equatable {
    case embedded
    case folder(String)
    indirect case adapted(ModelSource, adapter: String)

    init(path: String?, adapter: String? = nil) {
        let base: ModelSource = path.map(Self.folder) ?? .embedded
        self = adapter.map { .adapted(base, adapter: $0) } ?? base
    }

    /// The model's name in results and in the names of folders.
    var name: String {
        switch self {
        case .embedded: EmbeddedDefault.name
        case .folder(let path):
            String(URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent.trimmingSuffix(".gguf"))
        case .adapted(let base, let adapter): "\(base.name)+\(ModelSource.folder(adapter).name)"
        }
    }

    /// The option that names the model, for commands in messages.
    var option: String {
        switch self {
        case .embedded: ""
        case .folder(let path): " --model \(path)"
        case .adapted(let base, let adapter): "\(base.option) --adapter \(adapter)"
        }
    }

    func load() throws -> Checkpoint { try load(adapter: nil) }

    private func load(adapter: String?) throws -> Checkpoint {
        switch self {
        case .embedded: try Checkpoint(folder: try EmbeddedDefault.modelFolder().path, adapter: adapter)
        case .folder(let path): try Checkpoint(folder: path, adapter: adapter)
        case .adapted(let base, let adapter): try base.load(adapter: adapter)
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> Substring {
        hasSuffix(suffix) ? dropLast(suffix.count) : self[...]
    }
}

/// The model that comes with Tributary, and the corpus it was trained on.
///
/// Both are package resources. This type searches for them because `Bundle.module` would end the process if it found nothing.
enum EmbeddedDefault {
    static let name = "default"

    private static let resources = "tributary_tributary.resources"

    static func modelFolder() throws(EmbeddedDefaultError) -> URL { try resource("default/model") }

    /// The documents that the model was trained on, as compressed JSON lines.
    static func corpusFile() throws(EmbeddedDefaultError) -> URL { try resource("default/corpus.jsonl.gz") }

    private static func resource(_ path: String) throws(EmbeddedDefaultError) -> URL {
        let candidates = FileSystem.resourceLocations(of: path, in: resources)
        guard let found = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw .missing(looked: candidates.map(\.path))
        }
        return found
    }
}

enum EmbeddedDefaultError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case missing(looked: [String])

    var description: String {
        switch self {
        case .missing(let looked):
            "the embedded model is not installed: there is neither \(looked.joined(separator: " nor ")). Copy the folder "
                + "of resources from the build beside the program, or name a model with --model."
        }
    }

    var errorDescription: String? { description }
}
