import Dispatch
import Foundation

/// Does something at every SIGHUP, by which servers are asked to read their files again.
final class HangUps: Sendable {
    private let signals: AsyncStream<Void>.Continuation

    init(_ action: @escaping @Sendable () async -> Void) {
        let (requests, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        signals = continuation
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler { continuation.yield() }
        continuation.onTermination = { _ in source.cancel() }
        source.resume()
        Task.detached { for await _ in requests { await action() } }
    }

    func stop() { signals.finish() }
}
