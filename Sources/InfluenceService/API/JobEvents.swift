import Attribution
import Foundation
import HTTP

/// How far a client has followed a job: what has changed since is told as events.
///
/// An event's id holds this, so that a client that connects again is told what it missed and nothing twice, by whatever process:
/// the status last told, the number of finished queries told, and a count of events, as in `running-3-17`.
struct JobEvents: Sendable, Equatable {
    private var status: Job.Status?
    private var queries = 0
    private var count = 0
    private var hasEnded = false
    private var progress: InfluenceProgress?

    private static let endMark = "end"

    init() {}

    /// - Parameter lastID: The id of the last event that the client has seen. One that is none of ours counts as none.
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

    /// Whether the client has been told the end.
    var isOver: Bool { hasEnded }

    /// The events that tell of a job's present state.
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
        /// In the list, from 0.
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
