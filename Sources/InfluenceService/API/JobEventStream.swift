import Foundation
import Synchronization

/// A job's events as they come, in bytes, until the job has ended, the client goes, or the server stops.
///
/// The board tells that the job has changed; what is sent is its state when the client has taken what was sent before, so that
/// a slow client is told less often and costs no more.
struct JobEventStream: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    let store: JobStore
    let job: JobIdentifier
    /// What the client knows already.
    let events: JobEvents
    /// After how long a silence a comment is sent, by which both sides learn that the other is still there.
    let heartbeat: Duration
    /// The shortest time between two tellings of a job's state.
    let interval: Duration

    func makeAsyncIterator() -> Iterator { Iterator(self) }

    struct Iterator: AsyncIteratorProtocol {
        private let stream: JobEventStream
        private let following: Following
        private var changes: AsyncStream<Void>.Iterator
        private var events: JobEvents
        private var lastSent: ContinuousClock.Instant?

        init(_ stream: JobEventStream) {
            self.stream = stream
            events = stream.events
            let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            self.changes = changes.makeAsyncIterator()
            following = Following(stream, continuation)
            // The state at the beginning.
            continuation.yield()
        }

        mutating func next() async throws -> [UInt8]? {
            guard let lastSent else {
                lastSent = .now
                return ServerSentEvent.retry(milliseconds: 2_000)
            }
            while !events.isOver, await changes.next() != nil {
                following.begin()
                try await Task.sleep(until: lastSent + stream.interval, clock: .continuous)
                guard let snapshot = try await stream.store.snapshot(of: stream.job) else { return nil }
                let told = try events.next(for: snapshot)
                guard told.isEmpty else { return send(told.flatMap(\.bytes)) }
                if lastSent.duration(to: .now) >= stream.heartbeat {
                    return send(ServerSentEvent.comment("still there"))
                }
            }
            return nil
        }

        private mutating func send(_ bytes: [UInt8]) -> [UInt8] {
            lastSent = .now
            return bytes
        }
    }

    /// Keeps the board telling as long as somebody listens.
    private final class Following: Sendable {
        private let board: JobBoard
        private let job: JobIdentifier
        private let continuation: JobBoard.Follower
        private let heartbeat: Task<Void, Never>
        /// Guards what to stop with; set by the one iterator alone.
        private let number = Mutex<Int?>(nil)

        init(_ stream: JobEventStream, _ continuation: JobBoard.Follower) {
            board = stream.store.board
            job = stream.job
            self.continuation = continuation
            heartbeat = Task {
                while (try? await Task.sleep(for: stream.heartbeat)) != nil { continuation.yield() }
            }
            begin()
        }

        /// Follows the job if it is on the board: one of an earlier process comes there when the engine is ready.
        func begin() {
            guard number.withLock({ $0 }) == nil, let new = board.follow(job, continuation) else { return }
            number.withLock { $0 = new }
        }

        deinit {
            heartbeat.cancel()
            if let number = number.withLock({ $0 }) { board.stopFollowing(job, number) }
            continuation.finish()
        }
    }
}
