import Attribution
import Corpus
import Files
import Foundation
import Transformer

/// The folder with everything made for one model, locked for this process as long as this lives.
///
///     corpus.sqlite            training sequences and their term index
///     factors/                 EK-FAC factors
///     fit-state.safetensors    what an interrupted fit goes on from
///     gradients.index          the gradient index
///     jobs.sqlite              jobs and results of the server
///     checkpoints/             what the server's unfinished sweeps go on from
struct Workspace: Sendable {
    let model: ModelSource
    let folder: URL
    private let lock: WorkspaceLock
    /// The model, where it had to be loaded to name the folder.
    private let loaded: Checkpoint?

    /// Finds a model's workspace, makes it where there is none, and locks it.
    ///
    /// - Parameter folder: `nil` for the one named after the model: it is loaded then.
    /// - Throws: ``WorkspaceError``, ``WorkspaceLockError``, or what loading the model threw.
    init(of model: ModelSource, folder: String?) throws {
        (self.folder, loaded) = try Self.place(of: model, folder: folder)
        self.model = model
        do {
            try FileSystem.makeFolder(at: self.folder.path)
        } catch {
            throw WorkspaceError.cannotCreate(reason: "\(error)")
        }
        lock = try WorkspaceLock(folder: self.folder)
    }

    /// Where a model's workspace is or would be, and the model if it had to be loaded to tell.
    static func place(of model: ModelSource, folder: String?) throws -> (URL, Checkpoint?) {
        if let folder { return (URL(fileURLWithPath: folder).standardizedFileURL, nil) }
        let checkpoint = try model.load()
        return (self.folder(of: model, checkpoint), checkpoint)
    }

    /// The folder that is found without naming it.
    static func folder(of model: ModelSource, _ checkpoint: Checkpoint) -> URL {
        userDataFolder.appending(path: "tributary/\(model.name)-\(checkpoint.digest.prefix(8))")
    }

    /// $XDG_DATA_HOME, which must be absolute to count (XDG Base Directory Specification 0.8), or ~/.local/share.
    private static var userDataFolder: URL {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["XDG_DATA_HOME"], path.hasPrefix("/") { return URL(fileURLWithPath: path) }
        let home =
            environment["HOME"].map { URL(fileURLWithPath: $0) } ?? FileManager.default.homeDirectoryForCurrentUser
        return home.appending(path: ".local/share")
    }

    /// Whether the folder is the one that is found without naming it.
    var isDefaultFolder: Bool { loaded != nil }

    func loadModel() throws -> Checkpoint { try loaded ?? model.load() }

    var factorsFolder: String { folder.appending(path: "factors").path }
    var indexFile: String { Self.indexFile(in: folder) }

    static func indexFile(in folder: URL) -> String { folder.appending(path: "gradients.index").path }
    var fitStateFile: String { folder.appending(path: "fit-state.safetensors").path }
}

/// What a workspace lacks.
enum WorkspaceError: Error, Equatable, CustomStringConvertible {
    case cannotCreate(reason: String)
    case noCorpus(folder: String, command: String)
    case noFactors(folder: String, command: String)
    case sequenceLengthOverContext(length: Int, context: Int)

    var description: String {
        switch self {
        case .cannotCreate(let reason): "the workspace cannot be created: \(reason)"
        case .noCorpus(let folder, let command):
            "\(folder): there is no corpus yet: import the text that the model was trained on with \"\(command)\""
        case .noFactors(let folder, let command):
            "\(folder): there are no factors yet: fit them with \"\(command)\", or add --fit"
        case .sequenceLengthOverContext(let length, let context):
            "--sequence-length: \(length) is more than the model's context of \(context) tokens"
        }
    }
}
