import Dispatch
import Foundation
import Synchronization

/// Turns the first Ctrl-C (or SIGTERM) into a question that long work asks; a second one ends the process as usual.
final class Interruption {
    private final class Flag: Sendable {
        let isRaised = Atomic<Bool>(false)
    }

    private let flag = Flag()
    private let sources: [any DispatchSourceSignal]

    init() {
        let flag = flag
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                flag.isRaised.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
            source.resume()
            return source
        }
    }

    /// Whether the work is to stop.
    var isRequested: Bool { flag.isRaised.load(ordering: .relaxed) }

    /// The same question, for work on other threads.
    var question: @Sendable () -> Bool {
        let flag = flag
        return { flag.isRaised.load(ordering: .relaxed) }
    }
}
