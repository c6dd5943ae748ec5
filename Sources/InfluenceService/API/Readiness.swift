import Attribution
import HTTP
import Synchronization

/// Whether the engine is there yet.
final class Readiness: Sendable {
    enum State: Sendable {
        /// The model is being loaded; `stage` says what is done just now.
        case starting(stage: String)
        case ready(any InfluenceAnswering)
        case failed(reason: String)
        case stopping
    }

    private let storage = Mutex(State.starting(stage: "starting"))

    var state: State { storage.withLock { $0 } }

    /// Goes on to another state. A server that stops stays so.
    ///
    /// - Returns: Whether it was not stopping before.
    @discardableResult
    func become(_ state: State) -> Bool {
        storage.withLock { current in
            if case .stopping = current { return false }
            current = state
            return true
        }
    }

    /// The engine, for a request that needs it.
    ///
    /// - Throws: A ``Problem`` with status 503 if it is not there.
    func engine() throws(Problem) -> any InfluenceAnswering {
        switch state {
        case .ready(let engine): engine
        case .starting(let stage): throw .starting(stage: stage)
        case .failed(let reason): throw .startFailed(reason)
        case .stopping: throw .stopping
        }
    }
}
