import Attribution

/// A job with queries that wait for a sweep.
struct WaitingJob: Sendable, Equatable {
    var id: JobIdentifier
    /// Those that are not done.
    var queries: [WaitingQuery]
    var attempts: Int
    /// The ``Asker/id`` of who asked, where that is known.
    var asker: String?
    /// Whether the store has the job. Nothing of any other is ever written: its answer goes to the request that waits for it.
    var isKept = true
}

struct WaitingQuery: Sendable, Equatable {
    /// In the request, from 0.
    var position: Int
    var query: InfluenceQuery
}

extension [InfluenceQuery] {
    /// The queries of a request, none of which is done.
    var waiting: [WaitingQuery] { enumerated().map { WaitingQuery(position: $0.offset, query: $0.element) } }
}

/// What waiting queries hold in memory, by which they are admitted: a query with a text of megabytes counts as such.
extension InfluenceQuery {
    /// The query's fields, in the queue, on the board and in a sweep, and the texts and lists that the three share.
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
    /// Of a block of memory: the object's header and the allocator's.
    fileprivate static let header = 48

    /// The bytes beside the string's own sixteen, in which up to 15 bytes of UTF-8 find room.
    fileprivate var heldBytes: Int { utf8.count > 15 ? utf8.count + Self.header : 0 }
}

/// A job that has not ended: its part of what may wait.
struct OpenJob: Sendable, Equatable {
    /// What any job holds beside its queries: its entry on the board with its document, and its places in the runner's lists.
    static let overhead = 2_048 + JobBoard.documentLimit

    var queries: Int
    /// In memory.
    var bytes: Int
    /// The ``Asker/id`` of who asked, where that is known.
    var asker: String?

    init(_ queries: [InfluenceQuery], asker: String?) {
        self.queries = queries.count
        bytes = queries.reduce(Self.overhead) { $0 + $1.heldBytes }
        self.asker = asker
    }
}
