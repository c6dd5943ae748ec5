import Dispatch
import Foundation
import Synchronization

/// Does something at each SIGHUP, which asks a server to read its files again, for as long as this lives.
final class HangUps: Sendable {
    private let source: Mutex<any DispatchSourceSignal>

    init(_ action: @escaping @Sendable () async -> Void) {
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler { Task { await action() } }
        source.resume()
        self.source = Mutex(source)
    }

    /// Ignores further ones.
    func stop() { source.withLock { $0.cancel() } }
}
