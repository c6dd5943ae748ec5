import Foundation
import Transformer

/// Which model is used: the embedded one, or a checkpoint folder or GGUF file.
enum ModelSource: Sendable, Equatable {
    case embedded
    case folder(String)

    init(path: String?) { self = path.map(Self.folder) ?? .embedded }

    /// The model's name in results and in the names of folders.
    var name: String {
        switch self {
        case .embedded: EmbeddedDefault.name
        case .folder(let path):
            String(URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent.trimmingSuffix(".gguf"))
        }
    }

    /// The option that names the model, for commands in messages.
    var option: String {
        switch self {
        case .embedded: ""
        case .folder(let path): " --model \(path)"
        }
    }

    /// Loads the model.
    func load() throws -> Checkpoint {
        switch self {
        case .embedded: try Checkpoint(folder: try EmbeddedDefault.modelFolder().path)
        case .folder(let path): try Checkpoint(folder: path)
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> Substring {
        hasSuffix(suffix) ? dropLast(suffix.count) : self[...]
    }
}
