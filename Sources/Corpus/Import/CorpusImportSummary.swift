/// What an import has added to a corpus.
public struct CorpusImportSummary: Sendable, Equatable {
    /// New documents.
    public internal(set) var documents = 0

    /// New sequences.
    public internal(set) var sequences = 0

    /// The new documents' tokens, without prefix.
    public internal(set) var tokens = 0

    /// Records whose text the corpus had already, earlier ones of this import included.
    public internal(set) var duplicates = 0

    /// Records whose text gives no tokens; nothing is stored for them.
    public internal(set) var empty = 0

    /// Records that were left out because something was wrong with them: 0 unless asked to go on after these.
    public internal(set) var rejected = 0

    /// What was wrong with the first of them, at most ``maximumRejections``.
    public internal(set) var rejections: [CorpusImportError] = []

    /// How many rejections are described.
    public static let maximumRejections = 20

    /// Nothing was added.
    public init() {}

    mutating func add(_ other: CorpusImportSummary) {
        documents += other.documents
        sequences += other.sequences
        tokens += other.tokens
        duplicates += other.duplicates
        empty += other.empty
        reject(other.rejections)
        rejected += other.rejected - other.rejections.count
    }

    mutating func reject(_ errors: [CorpusImportError]) {
        rejected += errors.count
        rejections.append(contentsOf: errors.prefix(Self.maximumRejections - rejections.count))
    }
}

/// How far an import is.
public struct CorpusImportProgress: Sendable, Equatable {
    /// The name of the input that is being read.
    public internal(set) var input = ""

    /// Bytes read of all inputs so far, as they are on disk (compressed where they are).
    public internal(set) var bytesRead = 0

    /// Bytes of all inputs together; nil if one of them is a stream of unknown length.
    public internal(set) var bytesTotal: Int?

    /// New documents committed.
    public internal(set) var documents = 0

    /// Records whose text was there already.
    public internal(set) var duplicates = 0
}
