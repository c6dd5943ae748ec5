import Synchronization

/// All open connections of a server, held to their limit.
final class ConnectionRegistry: Sendable {
    private struct State {
        var connections: [UInt64: Connection] = [:]
        var waitingForRoom: [UInt64: @Sendable () -> Void] = [:]
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = max(limit, 1)
    }

    /// Whether one more connection may be taken.
    var hasRoom: Bool {
        state.withLock { $0.connections.count < limit }
    }

    /// Calls back once, from any thread, when a connection has closed.
    ///
    /// - Parameter token: Whose call this is; a later one of the same replaces it.
    func whenOneCloses(token: UInt64, notify: @escaping @Sendable () -> Void) {
        state.withLock { $0.waitingForRoom[token] = notify }
    }

    func insert(_ connection: Connection) {
        state.withLock { $0.connections[connection.token] = connection }
    }

    func remove(_ connection: Connection) {
        let (waitingForRoom, waitingForEnd) = state.withLock { state in
            state.connections[connection.token] = nil
            var ended: [CheckedContinuation<Void, Never>] = []
            if state.connections.isEmpty { swap(&ended, &state.waitingForEnd) }
            defer { state.waitingForRoom = [:] }
            return (state.waitingForRoom.values, ended)
        }
        for notify in waitingForRoom { notify() }
        for continuation in waitingForEnd { continuation.resume() }
    }

    var all: [Connection] {
        state.withLock { Array($0.connections.values) }
    }

    /// Returns when no connection is left.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                guard !state.connections.isEmpty else { return true }
                state.waitingForEnd.append(continuation)
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}
