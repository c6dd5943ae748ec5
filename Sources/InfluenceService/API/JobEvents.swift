import Attribution
import Foundation
import HTTP
import Synchronization

/// The part of a job's history that a client has already received; later changes are sent as events.
///
/// An event's id contains it, so that a client that reconnects, even to another process, receives every missed event once: the last status,
/// the number of finished queries, and a count of events, as in `running-3-17`. The last event's id also ends in `-end`.
struct JobEvents: Sendable, Equatable {
    private var status: Job.Status?
    private var queries = 0
    private var count = 0
    private(set) var hasEnded = false
    private var progress: InfluenceProgress?

    private static let endMark = "end"

    init() {}

    /// - Parameter lastID: The id of the last event that the client has seen. An id of another form counts as none.
    init(after lastID: String?) {
        let parts = (lastID ?? "").split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3 || (parts.count == 4 && parts[3] == Self.endMark),
            let status = Job.Status(rawValue: String(parts[0])), let queries = Int(parts[1]), let count = Int(parts[2]),
            queries >= 0, count >= 0, count < 1 << 60
        else { return }
        self.status = status
        self.queries = queries
        self.count = count
        hasEnded = parts.count == 4
    }

    mutating func next(for job: JobSnapshot) throws -> [ServerSentEvent] {
        guard !hasEnded else { return [] }
        var events: [ServerSentEvent] = []
        let document = JobDocument(job.job, progress: job.progress)
        if status != job.job.status {
            status = job.job.status
            progress = nil
            events.append(try event("status", document))
        }
        while queries < job.finished.count {
            let finished = job.finished[queries]
            queries += 1
            events.append(try event("query", FinishedQueryDocument(finished, of: job.queries)))
        }
        if let current = job.progress, current != progress, !job.job.status.isFinal {
            progress = current
            events.append(try event("progress", ProgressDocument(current, secondsLeft: job.secondsLeft)))
        }
        if job.job.status.isFinal {
            hasEnded = true
            events.append(try event("end", document))
        }
        return events
    }

    private mutating func event(_ name: String, _ data: some Encodable) throws -> ServerSentEvent {
        count += 1
        let parts = [status?.rawValue ?? "", String(queries), String(count)] + (hasEnded ? [Self.endMark] : [])
        return ServerSentEvent(id: parts.joined(separator: "-"), event: name, data: try jsonText(data))
    }

    private struct ProgressDocument: Encodable {
        var stage: InfluenceProgress.Stage
        var done: Int
        var total: Int
        var secondsLeft: Double?

        init(_ progress: InfluenceProgress, secondsLeft: Double?) {
            (stage, done, total) = (progress.stage, progress.done, progress.total)
            self.secondsLeft = secondsLeft.map { ($0 * 10).rounded() / 10 }
        }

        enum CodingKeys: String, CodingKey {
            case stage, done, total
            case secondsLeft = "seconds_left"
        }
    }

    private struct FinishedQueryDocument: Encodable {
        var index: Int
        var id: String?
        var status: Job.Status
        var error: ProblemDocument?

        init(_ finished: FinishedQuery, of queries: [InfluenceQuery]) {
            index = finished.position
            id = queries.indices.contains(finished.position) ? queries[finished.position].id : nil
            status = finished.failure == nil ? .succeeded : .failed
            error = finished.failure.map { ProblemDocument(Problem($0)) }
        }
    }
}

/// The bytes of a job's events, until the job has ended, the client disconnects, or the server stops.
///
/// The board reports that the job has changed. The stream sends the job's state when the client has taken all earlier bytes, so a slow
/// client receives fewer events and costs no more.
struct JobEventStream: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    let store: JobStore
    let job: JobIdentifier
    let events: JobEvents
    /// How long the stream is silent before it sends a comment, with which both sides detect a broken connection.
    let heartbeat: Duration
    /// The shortest time between two reports of the job's state.
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
            // Reports the initial state.
            continuation.yield()
        }

        mutating func next() async throws -> [UInt8]? {
            guard let lastSent else {
                lastSent = .now
                return ServerSentEvent.retry(milliseconds: 2_000)
            }
            while !events.hasEnded, await changes.next() != nil {
                following.begin()
                try await Task.sleep(until: lastSent + stream.interval, clock: .continuous)
                guard let snapshot = try await stream.store.snapshot(of: stream.job) else { return nil }
                let new = try events.next(for: snapshot)
                guard new.isEmpty else { return send(new.flatMap(\.bytes)) }
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

    /// Follows the job on the board for as long as the iterator lives.
    private final class Following: Sendable {
        private let board: JobBoard
        private let job: JobIdentifier
        private let continuation: JobBoard.Follower
        private let heartbeat: Task<Void, Never>
        /// Guards the number with which to stop following. Only the iterator sets it.
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

        /// Follows the job if it is on the board. A job of an earlier process is put there when the engine is ready.
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

/// One event of a stream (HTML, section 9.2.6, "Interpreting an event stream").
struct ServerSentEvent: Sendable, Equatable {
    var id: String
    var event: String
    /// JSON on one line.
    var data: String

    var bytes: [UInt8] { Array("id: \(id)\nevent: \(event)\ndata: \(data)\n\n".utf8) }

    /// A line that clients ignore.
    static func comment(_ text: String) -> [UInt8] { Array(": \(text)\n\n".utf8) }

    /// Tells the client how long to wait before it connects again.
    static func retry(milliseconds: Int) -> [UInt8] { Array("retry: \(milliseconds)\n\n".utf8) }
}
