import Dispatch
import Foundation
import Synchronization

/// Notes the first Ctrl-C or SIGTERM for long work to ask about; the second ends the process as usual.
final class Interruption: Sendable {
    private final class Flag: Sendable {
        let isRaised = Atomic<Bool>(false)
    }

    private let flag = Flag()
    private let requests: AsyncStream<Void>
    /// Held so that they keep watching.
    private let sources: Mutex<[any DispatchSourceSignal]>

    init() {
        let flag = flag
        let (requests, continuation) = AsyncStream.makeStream(of: Void.self)
        self.requests = requests
        sources = Mutex(
            [SIGINT, SIGTERM].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler {
                    flag.isRaised.store(true, ordering: .relaxed)
                    signal(SIGINT, SIG_DFL)
                    signal(SIGTERM, SIG_DFL)
                    continuation.finish()
                }
                source.resume()
                return source
            })
    }

    var isRequested: Bool { flag.isRaised.load(ordering: .relaxed) }

    /// Whether the work should stop, for work on other threads.
    var question: @Sendable () -> Bool {
        let flag = flag
        return { flag.isRaised.load(ordering: .relaxed) }
    }

    /// Suspends until the work should stop.
    func requested() async {
        for await _ in requests {}
    }
}

/// Performs an action at each SIGHUP, which asks a server to read its files again, until it is stopped.
final class HangUps: Sendable {
    private let source: Mutex<any DispatchSourceSignal>

    init(_ action: @escaping @Sendable () async -> Void) {
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler { Task { await action() } }
        source.resume()
        self.source = Mutex(source)
    }

    /// Ignores further signals.
    func stop() { source.withLock { $0.cancel() } }
}
