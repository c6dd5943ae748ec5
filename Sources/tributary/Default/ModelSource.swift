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
