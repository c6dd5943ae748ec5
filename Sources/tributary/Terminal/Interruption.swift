import Dispatch
import Foundation
import Synchronization

/// Turns the first Ctrl-C (or SIGTERM) into a question that long work asks; a second one ends the process as usual.
final class Interruption: Sendable {
    private final class Flag: Sendable {
        let isRaised = Atomic<Bool>(false)
    }

    private let flag = Flag()
    private let requests: AsyncStream<Void>
    /// Kept so that they go on watching.
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

    /// Whether the work is to stop.
    var isRequested: Bool { flag.isRaised.load(ordering: .relaxed) }

    /// The same question, for work on other threads.
    var question: @Sendable () -> Bool {
        let flag = flag
        return { flag.isRaised.load(ordering: .relaxed) }
    }

    /// Suspends until the work is to stop.
    func requested() async {
        for await _ in requests {}
    }
}
