import Synchronization

/// All open connections of a server, held to their limit.
final class ConnectionRegistry: Sendable {
    private struct State {
        var connections: [UInt64: Connection] = [:]
        /// How many of them are from each address, where that is limited.
        var countsByHost: [String: Int] = [:]
        var waitingForRoom: [UInt64: @Sendable () -> Void] = [:]
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let limit: Int
    let limitPerAddress: Int
    private let state = Mutex(State())

    /// - Parameter limitPerAddress: The most connections from one address; 0 for no such limit.
    init(limit: Int, limitPerAddress: Int = 0) {
        self.limit = max(limit, 1)
        self.limitPerAddress = max(limitPerAddress, 0)
    }

    var count: Int {
        state.withLock { $0.connections.count }
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

    /// Adds a connection.
    ///
    /// - Returns: False where its address has as many connections as it may, without this one.
    func insert(_ connection: Connection) -> Bool {
        state.withLock { state in
            state.connections[connection.token] = connection
            guard limitPerAddress > 0 else { return true }
            state.countsByHost[connection.peer.host, default: 0] += 1
            return state.countsByHost[connection.peer.host, default: 0] <= limitPerAddress
        }
    }

    func remove(_ connection: Connection) {
        let (waitingForRoom, waitingForEnd) = state.withLock { state in
            let wasThere = state.connections.removeValue(forKey: connection.token) != nil
            if limitPerAddress > 0, wasThere, let count = state.countsByHost[connection.peer.host] {
                state.countsByHost[connection.peer.host] = count > 1 ? count - 1 : nil
            }
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
