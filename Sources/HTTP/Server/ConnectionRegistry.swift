import Synchronization

/// All open connections of a server, held to their limit.
final class ConnectionRegistry: Sendable {
    private struct State {
        var connections: [UInt64: Connection] = [:]
        var waitingForRoom: [@Sendable () -> Void] = []
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = max(limit, 1)
    }

    /// Whether one more connection may be taken.
    ///
    /// - Parameter notify: Is called once, from any thread, when there is room again after the answer was no.
    func hasRoom(orLater notify: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            if state.connections.count < limit { return true }
            state.waitingForRoom.append(notify)
            return false
        }
    }

    func insert(_ connection: Connection) {
        state.withLock { $0.connections[connection.token] = connection }
    }

    func remove(_ connection: Connection) {
        let (waitingForRoom, waitingForEnd) = state.withLock { state in
            state.connections[connection.token] = nil
            var ended: [CheckedContinuation<Void, Never>] = []
            if state.connections.isEmpty { swap(&ended, &state.waitingForEnd) }
            defer { state.waitingForRoom = [] }
            return (state.waitingForRoom, ended)
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
