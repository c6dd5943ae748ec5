import Limits

/// Training sequences to add to the corpus while it is in use.
public struct SequenceUpload: Sendable {
    /// JSON text, not compressed.
    public var body: [UInt8]
    public var form: Form
    /// How many records there may be.
    public var maximumRecords: Int

    /// What a server is allowed to take at a time.
    public enum Limits {
        public static let records = 1...10_000_000
        /// Once decompressed.
        public static let bytes = 1_024...17_179_869_184
    }

    public enum Form: Sendable, Equatable {
        /// A JSON object a line.
        case lines
        /// One JSON object.
        case object
    }

    public init(body: [UInt8], form: Form, maximumRecords: Int) {
        self.body = body
        self.form = form
        self.maximumRecords = maximumRecords
    }
}

/// What an upload has added.
public struct IngestionSummary: Sendable, Equatable, Codable {
    /// Documents that are new.
    public var added: Int
    /// Records whose text the corpus had already, earlier ones of the upload included.
    public var duplicates: Int
    /// Records whose text gives no tokens; nothing is kept of them.
    public var empty: Int
    /// Sequences that are new: a document longer than the sequence length is several.
    public var sequences: Int
    /// The new documents' tokens.
    public var tokens: Int
    /// Of each record, in order, the identifier of the document with its text; null for an empty one.
    public var ids: [String?]
    /// The corpus with the new documents.
    public var corpus: ModelSummary.Statistics

    public init(
        added: Int, duplicates: Int, empty: Int, sequences: Int, tokens: Int, ids: [String?],
        corpus: ModelSummary.Statistics
    ) {
        self.added = added
        self.duplicates = duplicates
        self.empty = empty
        self.sequences = sequences
        self.tokens = tokens
        self.ids = ids
        self.corpus = corpus
    }
}

/// Why nothing of an upload was added.
public enum IngestionError: Error, Equatable, CustomStringConvertible {
    /// A line is not JSON in UTF-8.
    case malformed(line: Int, reason: String)
    /// A record, or a field of it, cannot be used.
    case unusable(line: Int, field: String?, reason: String)
    case tooManyRecords(limit: Int)
    /// The disk with the corpus is full.
    case diskFull
    /// Something on our side failed.
    case failed(reason: String)

    public var description: String {
        switch self {
        case .malformed(let line, let reason), .unusable(let line, _, let reason): "line \(line): \(reason)"
        case .tooManyRecords(let limit): "there are more than \(limit) records: send them in parts"
        case .diskFull: "the disk with the corpus is full"
        case .failed(let reason): reason
        }
    }
}

/// Some sequences of a longer list.
public struct SequencePage: Sendable, Equatable {
    public var sequences: [SequenceDescription]
    /// What to give as `after` for the next page; `nil` on the last one.
    public var next: Int64?

    public init(sequences: [SequenceDescription], next: Int64?) {
        self.sequences = sequences
        self.next = next
    }
}

/// What an engine has done since it was made, and what it holds.
public struct EngineMeasurements: Sendable, Equatable {
    /// Sequences scored, and their tokens; one that is scored again counts again.
    public var sweptSequences: Int
    public var sweptTokens: Int
    /// Memory that the factors take.
    public var factorBytes: Int
    public var corpus: ModelSummary.Statistics

    public init(sweptSequences: Int, sweptTokens: Int, factorBytes: Int, corpus: ModelSummary.Statistics) {
        self.sweptSequences = sweptSequences
        self.sweptTokens = sweptTokens
        self.factorBytes = factorBytes
        self.corpus = corpus
    }
}
