import Limits

/// Adds training sequences to the corpus while it is in use.
public protocol SequenceIngesting: Sendable {
    /// Adds all sequences of an upload, or none. They are on disk when this returns, and all later reads of the corpus see them; queries
    /// under way go on with the sequences that they have.
    ///
    /// - Throws: ``IngestionError``.
    func ingest(_ upload: SequenceUpload) throws -> IngestionSummary
}

/// Training sequences to add to the corpus while it is in use.
public struct SequenceUpload: Sendable {
    /// Uncompressed JSON text.
    public var body: [UInt8]
    public var form: Form
    /// The most records that the upload is allowed to have.
    public var maximumRecords: Int

    /// The allowed values of a server's own limits on an upload.
    public enum Limits {
        public static let records = 1...10_000_000
        /// The size of the decompressed body.
        public static let bytes = 1_024...17_179_869_184
    }

    public enum Form: Sendable, Equatable {
        /// One JSON object per line.
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

/// The outcome of an upload.
public struct IngestionSummary: Sendable, Equatable, Codable {
    /// The number of new documents.
    public var added: Int
    /// Records whose text was already in the corpus or in an earlier record of the upload.
    public var duplicates: Int
    /// Records whose text gives no tokens; these are not kept.
    public var empty: Int
    /// Rows with a loss mask that were cut to the sequence length; these are kept.
    public var cut = 0
    /// Rows without a token that carries loss; these are not kept.
    public var withoutLoss = 0
    /// Rows whose tokens with loss all come after the sequence length; these are not kept.
    public var cutBeforeLoss = 0
    /// The number of new sequences. A document longer than the sequence length becomes several.
    public var sequences: Int
    /// The new documents' tokens.
    public var tokens: Int
    /// For each record, in order, the identifier of the document with its text; null for a record that is not kept.
    public var ids: [String?]
    /// The corpus with the new documents.
    public var corpus: ModelSummary.Statistics

    enum CodingKeys: String, CodingKey {
        case added, duplicates, empty, cut
        case withoutLoss = "without_loss"
        case cutBeforeLoss = "cut_before_loss"
        case sequences, tokens, ids, corpus
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
