import Attribution
import Foundation

/// An accepted request for influence: a query, or a list of queries, and its progress.
struct Job: Sendable, Equatable {
    var id: JobIdentifier
    var status: Status
    /// Whether the request was a list; its result is then a list, even of one.
    var isList: Bool
    var queryCount: Int
    /// Absent if this version cannot read the queries of an earlier version's job.
    var title: JobTitle?
    var failedQueryCount: Int
    var progress: InfluenceProgress?
    var created: Date
    var started: Date?
    var finished: Date?
    /// How many times the job was started: more than once if the process died while it ran.
    var attempts: Int
    /// Why the job failed; for a list, why its first failed query did.
    var failure: QueryFailure?
    var timings: JobTimings

    enum Status: String, Sendable, Codable, CaseIterable {
        case queued, running, succeeded, failed, cancelled

        var isFinal: Bool {
            switch self {
            case .queued, .running: false
            case .succeeded, .failed, .cancelled: true
            }
        }
    }
}

extension Job {
    mutating func begin(in batch: JobTimings.Batch, at date: Date) {
        timings.batch = batch
        timings.sweeps += 1
        if started == nil { timings.queue = max(0, date.timeIntervalSince(created)) }
    }
}

/// How a job's time was spent, in seconds, and its last query batch.
struct JobTimings: Sendable, Equatable, Codable {
    /// From the request to the start of its first sweep.
    var queue: Double?
    /// From the request to the last result.
    var total: Double?
    var gradients: Double?
    var candidates: Double?
    var sweep: Double?
    var rescore: Double?
    var batch: Batch?
    /// How many sweeps the job took: more than one only for a list that is longer than a query batch.
    var sweeps = 0

    struct Batch: Sendable, Equatable, Codable {
        var id: String
        /// How many queries shared the sweep, of this job and others.
        var size: Int
        /// The sweep's number since the server started, from 1.
        var number: Int
    }

    mutating func add(_ seconds: [InfluenceProgress.Stage: Double]) {
        for (stage, spent) in seconds {
            switch stage {
            case .gradients: gradients = (gradients ?? 0) + spent
            case .candidates: candidates = (candidates ?? 0) + spent
            case .sweep: sweep = (sweep ?? 0) + spent
            case .rescore: rescore = (rescore ?? 0) + spent
            }
        }
    }
}

/// A short form of a job for lists: its first query, each text shortened.
struct JobTitle: Sendable, Equatable, Codable {
    var prompt: String
    var completion: String
    /// As in ``QueryLabel/others``.
    var others: Int?

    /// The most characters, including the ellipsis.
    static let promptLength = 90
    static let completionLength = 40

    /// - Returns: `nil` if there is no query.
    init?(_ queries: [InfluenceQuery]) {
        guard let label = queries.first.map(QueryLabel.init) else { return nil }
        prompt = Self.cut(label.prompt, to: Self.promptLength)
        completion = Self.cut(label.completion, to: Self.completionLength)
        others = label.others
    }

    /// - Returns: `nil` if this version cannot read the request.
    init?(request: String) {
        guard let queries = try? decoded(jsonText: request) as [InfluenceQuery] else { return nil }
        self.init(queries)
    }

    private static func cut(_ text: String, to length: Int) -> String {
        // Counting the characters of a long text takes long, and one character can have any number of scalars.
        let text = text.cut(toBytes: 16 * length)
        let end = text.index(text.startIndex, offsetBy: length, limitedBy: text.endIndex) ?? text.endIndex
        return end == text.endIndex ? text : text.prefix(length - 1) + "…"
    }
}

/// A job's id: 26 letters and digits that are safe in a URL, sort by the time of creation, and cannot be guessed.
///
/// The form is that of a ULID: 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32.
struct JobIdentifier: Sendable, Hashable, CustomStringConvertible {
    let description: String

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// - Returns: `nil` if the text does not have the form of an identifier. Lower-case letters are accepted.
    init?(_ text: some StringProtocol) {
        let capitals = text.uppercased()
        guard capitals.utf8.count == 26, capitals.utf8.allSatisfy(Self.alphabet.contains) else { return nil }
        description = capitals
    }

    init(at date: Date = Date()) {
        var generator = SystemRandomNumberGenerator()
        let milliseconds = UInt128(max(0, date.timeIntervalSince1970 * 1_000).rounded(.down))
        var bits = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        bits |= UInt128(generator.next() as UInt64) << 16 | UInt128(generator.next() as UInt16)
        var letters: [UInt8] = []
        for _ in 0..<26 {
            letters.append(Self.alphabet[Int(bits & 31)])
            bits >>= 5
        }
        description = String(decoding: letters.reversed(), as: UTF8.self)
    }
}

/// A job with queries that wait for a sweep.
struct WaitingJob: Sendable, Equatable {
    var id: JobIdentifier
    /// The queries that are not done.
    var queries: [WaitingQuery]
    var attempts: Int
    /// The ``Asker/id`` of the client, if it is known.
    var asker: String?
    /// Whether the store has the job. Nothing of a passing job is ever written: its answer goes to the request that waits for it.
    var isKept = true
}

struct WaitingQuery: Sendable, Equatable {
    /// The query's index in the request.
    var position: Int
    var query: InfluenceQuery
}

extension [InfluenceQuery] {
    var waiting: [WaitingQuery] { enumerated().map { WaitingQuery(position: $0.offset, query: $0.element) } }
}

extension InfluenceQuery {
    /// The query's memory: its fields in the queue, on the board and in a sweep, and the texts and lists that the three share.
    var heldBytes: Int {
        var bytes = 3 * MemoryLayout<WaitingQuery>.stride
        for text in [id, prompt, completion, contrast, candidates.source] { bytes += text?.heldBytes ?? 0 }
        bytes += candidates.ids.map(Self.heldBytes) ?? 0
        bytes += candidates.texts.map(Self.heldBytes) ?? 0
        bytes += spans.map { $0.count * MemoryLayout<CompletionSpan>.stride + String.header } ?? 0
        return bytes
    }

    private static func heldBytes(of texts: [String]) -> Int {
        texts.reduce(String.header) { $0 + MemoryLayout<String>.stride + $1.heldBytes }
    }
}

extension String {
    /// The headers of a block of memory: the object's and the allocator's.
    fileprivate static let header = 48

    /// The bytes besides the string's own sixteen, which hold up to 15 bytes of UTF-8.
    fileprivate var heldBytes: Int { utf8.count > 15 ? utf8.count + Self.header : 0 }
}

/// A job that has not ended, and how much it counts towards the limits.
struct OpenJob: Sendable, Equatable {
    /// The memory of any job besides its queries: its entry on the board with its document, and its entries in the queue's lists.
    static let overhead = 2_048 + JobBoard.documentLimit

    var queries: Int
    /// The memory of its queries, and ``overhead``.
    var bytes: Int
    /// The ``Asker/id`` of the client, if it is known.
    var asker: String?

    init(_ queries: [InfluenceQuery], asker: String?) {
        self.queries = queries.count
        bytes = queries.reduce(Self.overhead) { $0 + $1.heldBytes }
        self.asker = asker
    }
}
