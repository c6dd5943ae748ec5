import Attribution

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
