import Attribution
import Corpus
import Curvature
import Files
import Foundation
import InfluenceService
import LinearAlgebra
import Transformer

/// The folder with everything that is made for one model, locked for this process for the lifetime of this value.
///
///     corpus.sqlite            training sequences and their term index
///     factors/                 EK-FAC factors
///     fit-state.safetensors    the state of an interrupted fit
///     gradients.index          the gradient index
///     jobs.sqlite              the server's jobs and results
///     checkpoints/             the scores of the server's unfinished sweeps
struct Workspace: Sendable {
    let model: ModelSource
    let folder: URL
    private let lock: WorkspaceLock
    /// The model, if it had to be loaded to name the folder.
    private let loaded: Checkpoint?

    /// Finds a model's workspace or makes a new one, and locks it.
    ///
    /// - Parameter folder: `nil` for the folder that is named after the model, which is then loaded.
    /// - Throws: ``WorkspaceError``, ``WorkspaceLockError``, or an error of loading the model.
    init(of model: ModelSource, folder: String?) throws {
        (self.folder, loaded) = try Self.location(of: model, folder: folder)
        self.model = model
        do {
            try FileSystem.makeFolder(at: self.folder.path)
        } catch {
            throw WorkspaceError.cannotCreate(reason: "\(error)")
        }
        lock = try WorkspaceLock(folder: self.folder)
    }

    /// The folder that a model's workspace has or would have, and the model if it had to be loaded to name the folder.
    static func location(of model: ModelSource, folder: String?) throws -> (URL, Checkpoint?) {
        if let folder { return (URL(fileURLWithPath: folder).standardizedFileURL, nil) }
        let checkpoint = try model.load()
        return (self.folder(of: model, checkpoint), checkpoint)
    }

    /// The default folder, which users need not name.
    static func folder(of model: ModelSource, _ checkpoint: Checkpoint) -> URL {
        userDataFolder.appending(path: "tributary/\(model.name)-\(checkpoint.digest.prefix(8))")
    }

    /// $XDG_DATA_HOME if it is absolute (XDG Base Directory Specification 0.8), otherwise ~/.local/share.
    private static var userDataFolder: URL {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["XDG_DATA_HOME"], path.hasPrefix("/") { return URL(fileURLWithPath: path) }
        let home =
            environment["HOME"].map { URL(fileURLWithPath: $0) } ?? FileManager.default.homeDirectoryForCurrentUser
        return home.appending(path: ".local/share")
    }

    var isDefaultFolder: Bool { loaded != nil }

    func loadModel() throws -> Checkpoint { try loaded ?? model.load() }

    var factorsFolder: String { folder.appending(path: "factors").path }
    var fitStateFile: String { folder.appending(path: "fit-state.safetensors").path }
    var indexFile: String { Self.indexFile(in: folder) }

    static func indexFile(in folder: URL) -> String { folder.appending(path: "gradients.index").path }
}

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

/// The opened contents of a workspace, which queries need.
struct WorkspaceContents: Sendable {
    let checkpoint: Checkpoint
    let corpus: CorpusStore
    let factors: EKFACFactors
}

extension Workspace {
    /// Loads model, corpus and factors, and shows the progress of long steps on the terminal.
    ///
    /// - Parameter fitting: Whether missing factors are fitted; those of the embedded model always are.
    func openContents(fitting: Bool, workers: Workers, interruption: Interruption) throws -> WorkspaceContents {
        let checkpoint = try loadModel()
        let control = TerminalControl(isCancelled: interruption.question)
        let corpus = try openCorpus(for: checkpoint, control)
        let hadFactors = FactorFile.exists(at: factorsFolder)
        let factors = try openFactors(for: checkpoint, on: corpus, fitting: fitting, workers: workers, control)
        if !hadFactors { for warning in factors.warnings { printError("tributary: warning: \(warning)") } }
        return WorkspaceContents(checkpoint: checkpoint, corpus: corpus, factors: factors)
    }

    /// The gradient index, or why there is none to use.
    func openIndex(for contents: WorkspaceContents) throws -> IndexAvailability {
        do {
            return .ready(
                try GradientIndex(
                    path: indexFile, modelDigest: contents.checkpoint.digest, factors: contents.factors,
                    corpus: contents.corpus))
        } catch GradientIndexError.missing {
            return .missing
        } catch let error as GradientIndexError {
            return .unusable(error)
        }
    }

    func makeEngine(
        on contents: WorkspaceContents, precision: SweepPrecision, workers: Workers
    ) throws -> InfluenceEngine {
        try precision.checkProcessor()
        return InfluenceEngine(
            name: model.name, checkpoint: contents.checkpoint, factors: contents.factors, corpus: contents.corpus,
            index: try openIndex(for: contents), precision: precision, workers: workers)
    }
}

/// Reserves a workspace folder for one process.
///
/// The lock is the kernel's (flock(2) on `workspace.lock`, which contains the owner's process id for people and errors), so it ends with
/// the process however that ends. The file stays: if it were removed, two processes could lock two files of one name. The lock does not
/// work for folders that several machines share over NFS.
final class WorkspaceLock: Sendable {
    static let fileName = "workspace.lock"

    /// Open and locked for as long as this lives.
    private let handle: FileHandle

    /// Locks a folder, which must exist.
    init(folder: URL) throws(WorkspaceLockError) {
        let path = folder.appending(path: Self.fileName).path
        // Close on exec: a child process must not keep the lock.
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw .cannotLock(folder: folder.path, reason: String(cString: strerror(errno)))
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status: Int32
        repeat { status = flock(descriptor, LOCK_EX | LOCK_NB) } while status != 0 && errno == EINTR
        guard status == 0 else {
            let error = errno
            guard error == EWOULDBLOCK else {
                throw .cannotLock(folder: folder.path, reason: String(cString: strerror(error)))
            }
            throw .inUse(folder: folder.path, process: Self.owner(in: path))
        }
        // The process id is only a help for people: a full disk must not prevent the use of the workspace.
        try? handle.write(contentsOf: Data("\(ProcessInfo.processInfo.processIdentifier)\n".utf8))
        try? handle.truncate(atOffset: handle.offset())
    }

    /// A child process that has been forked and not yet executed has a copy of the descriptor, with which closing it would not end the lock.
    deinit { flock(handle.fileDescriptor, LOCK_UN) }

    private static func owner(in path: String) -> Int32? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}

enum WorkspaceLockError: Error, Equatable, CustomStringConvertible {
    /// Another process uses it; its id, if the file has one.
    case inUse(folder: String, process: Int32?)
    case cannotLock(folder: String, reason: String)

    var description: String {
        switch self {
        case .inUse(let folder, let process):
            "\(folder): in use by \(process.map { "process \($0)" } ?? "another process"): stop it, or give another workspace"
        case .cannotLock(let folder, let reason):
            "\(folder): the workspace cannot be locked: \(reason)"
        }
    }
}
