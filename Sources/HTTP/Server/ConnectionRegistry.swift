import Synchronization

final class ConnectionRegistry: Sendable {
    private struct State {
        var connections: [UInt64: Connection] = [:]
        /// The number of connections from each address, if that is limited.
        var countsByHost: [String: Int] = [:]
        var waitingForCapacity: [UInt64: @Sendable () -> Void] = [:]
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

    var count: Int { state.withLock { $0.connections.count } }

    var all: [Connection] { state.withLock { Array($0.connections.values) } }

    var hasCapacity: Bool { count < limit }

    /// Calls `notify` once, from any thread, when a connection has closed. A later call with the same token replaces this one.
    func whenOneCloses(token: UInt64, notify: @escaping @Sendable () -> Void) {
        state.withLock { $0.waitingForCapacity[token] = notify }
    }

    /// False if the connection's address now has more connections than it is allowed.
    func insert(_ connection: Connection) -> Bool {
        state.withLock { state in
            state.connections[connection.token] = connection
            guard limitPerAddress > 0 else { return true }
            state.countsByHost[connection.peer.host, default: 0] += 1
            return state.countsByHost[connection.peer.host, default: 0] <= limitPerAddress
        }
    }

    func remove(_ connection: Connection) {
        let (waitingForCapacity, waitingForEnd) = state.withLock { state in
            let wasThere = state.connections.removeValue(forKey: connection.token) != nil
            if limitPerAddress > 0, wasThere, let count = state.countsByHost[connection.peer.host] {
                state.countsByHost[connection.peer.host] = count > 1 ? count - 1 : nil
            }
            var ended: [CheckedContinuation<Void, Never>] = []
            if state.connections.isEmpty { swap(&ended, &state.waitingForEnd) }
            defer { state.waitingForCapacity = [:] }
            return (state.waitingForCapacity.values, ended)
        }
        for notify in waitingForCapacity { notify() }
        for continuation in waitingForEnd { continuation.resume() }
    }

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
