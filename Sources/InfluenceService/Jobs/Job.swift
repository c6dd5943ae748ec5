import Attribution
import Foundation
import JSON

/// One accepted request for influence: a query, or a list of them, and how far it has come.
public struct Job: Sendable, Equatable {
    public var id: JobIdentifier
    public var status: Status
    /// Whether a list was posted; its result is then a list, even of one.
    public var isList: Bool
    public var queryCount: Int
    /// Absent in jobs of an earlier version that this one cannot read.
    public var title: JobTitle?
    public var failedQueryCount: Int
    /// The stage of the running sweep.
    public var progress: InfluenceProgress?
    public var created: Date
    public var started: Date?
    public var finished: Date?
    /// How often it was started; more than once after the process died while it ran.
    public var attempts: Int
    /// Why it failed; of a list, why its first failed query did.
    public var failure: QueryFailure?
    public var timings: JobTimings

    public enum Status: String, Sendable, Codable, CaseIterable {
        case queued, running, succeeded, failed, cancelled

        /// Whether nothing more will happen to the job.
        public var isFinal: Bool {
            switch self {
            case .queued, .running: false
            case .succeeded, .failed, .cancelled: true
            }
        }
    }
}

extension Job {
    /// Notes that a sweep has begun that has queries of the job.
    mutating func begin(in batch: JobTimings.Batch, at date: Date) {
        timings.batch = batch
        timings.sweeps += 1
        if started == nil { timings.queue = max(0, date.timeIntervalSince(created)) }
    }
}

/// Where a job's time went, in seconds, and with how many others it shared a sweep.
public struct JobTimings: Sendable, Equatable, Codable {
    /// From the request to the start of its first sweep.
    public var queue: Double?
    /// From the request to the last result.
    public var total: Double?
    public var gradients: Double?
    public var candidates: Double?
    public var sweep: Double?
    public var rescore: Double?
    /// The last sweep that answered queries of the job.
    public var batch: Batch?
    /// How many sweeps the job took: more than one only for a list that is longer than a batch.
    public var sweeps = 0

    public init() {}

    public struct Batch: Sendable, Equatable, Codable {
        public var id: String
        /// Queries that shared the sweep, of this job and others.
        public var size: Int
        /// Counts the sweeps since the server's start, from 1.
        public var number: Int
    }

    /// Adds the seconds that one sweep spent in each stage.
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

/// What a job asks, in the few words that a list of jobs has room for: its first query, each text cut short.
public struct JobTitle: Sendable, Equatable, Codable {
    public var prompt: String
    public var completion: String

    /// Characters that are kept, the ellipsis in place of the others included.
    static let promptLength = 90
    static let completionLength = 40

    /// - Returns: `nil` if there is no query.
    init?(_ queries: [InfluenceQuery]) {
        guard let query = queries.first else { return nil }
        prompt = Self.cut(query.prompt, to: Self.promptLength)
        completion = Self.cut(query.completion, to: Self.completionLength)
    }

    /// The title of a request as the database has it.
    ///
    /// - Returns: `nil` if this version cannot read it.
    init?(request: String) {
        guard let queries = try? JSONDecoder().decode([InfluenceQuery].self, from: Data(request.utf8)) else {
            return nil
        }
        self.init(queries)
    }

    private static func cut(_ text: String, to length: Int) -> String {
        // Counting all of a long text's characters takes long, and one character may have any number of scalars.
        let whole = text
        let text = whole.cut(toBytes: 16 * length)
        let end = text.index(text.startIndex, offsetBy: length, limitedBy: text.endIndex) ?? text.endIndex
        return end == text.endIndex ? text : text.prefix(length - 1) + "…"
    }
}

/// A job's name: 26 letters and digits that are safe in a URL, sort by the time of creation, and cannot be guessed.
///
/// The form is that of a ULID: 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32.
public struct JobIdentifier: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// Takes text as an identifier.
    ///
    /// - Returns: `nil` if it is not the form of one; small letters are taken as capitals.
    public init?(_ text: some StringProtocol) {
        let capitals = text.uppercased()
        guard capitals.utf8.count == 26, capitals.utf8.allSatisfy(Self.alphabet.contains) else { return nil }
        description = capitals
    }

    /// A new identifier.
    public init(at date: Date = Date()) {
        var generator = SystemRandomNumberGenerator()
        let milliseconds = UInt128(max(0, date.timeIntervalSince1970 * 1_000).rounded(.down))
        var rest = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        rest |= UInt128(generator.next() as UInt64) << 16 | UInt128(generator.next() as UInt16)
        var letters: [UInt8] = []
        for _ in 0..<26 {
            letters.append(Self.alphabet[Int(rest & 31)])
            rest >>= 5
        }
        description = String(decoding: letters.reversed(), as: UTF8.self)
    }
}
