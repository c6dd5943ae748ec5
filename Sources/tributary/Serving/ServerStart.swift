import Attribution
import CLinux
import Dispatch
import Foundation
import InfluenceService
import LinearAlgebra
import Logging
import Synchronization

/// Loads a server's model, corpus and factors, or makes missing ones, while the server reports the progress.
struct ServerStart: Sendable {
    let workspace: Workspace
    let service: Service
    let manager: ServiceManager
    let logger: Logger
    let fitting: Bool
    let precision: SweepPrecision
    let workers: Workers
    let interruption: Interruption

    /// Runs on a thread of its own, because the work blocks.
    func run() async throws -> InfluenceEngine {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .userInitiated).async { continuation.resume(with: Result { try engine() }) }
        }
    }

    private func engine() throws -> InfluenceEngine {
        try precision.checkProcessor()
        begin("loading the model")
        let checkpoint = try workspace.loadModel()
        begin("opening the corpus")
        let control = TerminalControl(display: display, isCancelled: interruption.question)
        let corpus = try workspace.openCorpus(for: checkpoint, control)
        begin("loading the factors")
        let factors = try workspace.openFactors(
            for: checkpoint, on: corpus, fitting: fitting, workers: workers, control)
        for warning in factors.warnings { logger.warning("\(warning)") }
        let engine = try workspace.makeEngine(
            on: WorkspaceContents(checkpoint: checkpoint, corpus: corpus, factors: factors), precision: precision,
            workers: workers)
        if case .unusable(let error) = engine.index {
            logger.warning("queries cannot use the gradient index", metadata: ["error": "\(error)"])
        }
        return engine
    }

    private func begin(_ stage: String) {
        logger.info("\(stage)")
        service.note(starting: stage)
        manager.notify(.status(stage))
    }

    private func display(_ title: String) -> any ProgressDisplay {
        begin(title)
        return StartDisplay(title: title, service: service, logger: logger)
    }
}

/// Progress in the log every few seconds, and at /readyz.
private final class StartDisplay: ProgressDisplay {
    private let title: String
    private let service: Service
    private let logger: Logger
    private let start = Date()
    private let lastLogged = Mutex(Date())

    init(title: String, service: Service, logger: Logger) {
        self.title = title
        self.service = service
        self.logger = logger
    }

    func update(_ done: Int, of total: Int?, unit: String, note: String) {
        let numbers = total.map { "\(done) of \($0) \(unit)" } ?? "\(done) \(unit)"
        service.note(starting: "\(title), \(numbers)")
        let isDue = lastLogged.withLock { last in
            guard Date().timeIntervalSince(last) > 5 else { return false }
            last = Date()
            return true
        }
        if isDue { logger.info("\(title)", metadata: ["done": "\(done)", "total": "\(total ?? 0)"]) }
    }

    func warn(_ text: String) { logger.warning("\(text)") }

    func finish(_ note: String) {
        let seconds = String(format: "%.1f", Date().timeIntervalSince(start))
        logger.info("\(title): done", metadata: ["seconds": "\(seconds)"])
    }

    func abandon() {}
}

/// The service manager that started this process, if it asks for notifications of its state: sd_notify(3), one datagram to the
/// socket that `NOTIFY_SOCKET` names.
struct ServiceManager: Sendable {
    enum State: Equatable {
        case ready, stopping
        /// The present activity, in words.
        case status(String)

        var message: String {
            switch self {
            case .ready: "READY=1\nSTATUS=answering queries"
            case .stopping: "STOPPING=1\nSTATUS=stopping"
            case .status(let text): "STATUS=\(text.replacing("\n", with: " "))"
            }
        }
    }

    private let socket: String?

    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        socket = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Notifies the service manager, if there is one. A notification that fails is no reason to stop.
    func notify(_ state: State) {
        guard let socket else { return }
        _ = tributary_send_to_unix_socket(socket, state.message)
    }
}
