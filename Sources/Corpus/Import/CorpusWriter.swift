import Files
import Foundation
import GRDB
import JSON

/// A record that is ready to be written: all slow work is done.
struct PreparedDocument: Sendable {
    enum Content: Sendable {
        /// The corpus already had the text, in this document, when the record was prepared.
        case known(document: Int64)
        /// The document's tokens, without the prefix.
        case tokens([Int32])
    }

    let record: CorpusRecord
    let hash: ContentHash
    let content: Content
}

struct AppendOutcome: Sendable {
    var summary = CorpusImportSummary()
    /// An error for each record whose identifier belongs to another text.
    var refused: [CorpusImportError] = []
}

extension CorpusStore {
    /// Adds documents, their sequences and their postings, in one transaction.
    ///
    /// - Parameter skippingRefused: Whether to continue after a refused record. Otherwise the batch ends there, and all records before it
    ///   are kept.
    func append(_ documents: [PreparedDocument], skippingRefused: Bool) throws -> AppendOutcome {
        try write { db in
            var writer = try CorpusWriter(db, identity: tokenization.identity)
            for document in documents {
                try writer.append(document)
                if !skippingRefused, !writer.outcome.refused.isEmpty { break }
            }
            try writer.finish()
            return writer.outcome
        }
    }

    /// Adds documents, their sequences and their postings in one transaction: all of them, or none.
    ///
    /// - Throws: ``CorpusImportError`` for the first document that is refused.
    func appendAll(_ documents: [PreparedDocument]) throws -> CorpusIngestion.Outcome {
        try write { db in
            var writer = try CorpusWriter(db, identity: tokenization.identity)
            for document in documents {
                try writer.append(document)
                if let refused = writer.outcome.refused.first { throw refused }
            }
            try writer.finish()
            let name = try db.cachedStatement(sql: "SELECT external_id FROM documents WHERE content_hash = ?")
            return CorpusIngestion.Outcome(
                summary: writer.outcome.summary,
                identifiers: try documents.map { try String.fetchOne(name, arguments: [Data($0.hash.bytes)]) },
                statistics: try CorpusState.fetch(db).statistics)
        }
    }
}

/// Adds documents within one transaction.
struct CorpusWriter {
    let db: Database
    private let identity: CorpusTokenizationIdentity
    let identifiers: IdentifierTable
    var state: CorpusState
    private var postings: [PostingTable.Addition] = []
    private var sources: [ExactString: [ClosedRange<Int64>]] = [:]
    var outcome = AppendOutcome()

    init(_ db: Database, identity: CorpusTokenizationIdentity) throws {
        self.db = db
        self.identity = identity
        identifiers = IdentifierTable(db: db)
        state = try CorpusState.fetch(db)
    }

    mutating func append(_ document: PreparedDocument) throws {
        // The text may have been added since it was prepared, perhaps by this transaction.
        if case .known(let id) = document.content {
            try appendCopy(document, of: id)
        } else if let id = try existingDocument(document.hash) {
            try appendCopy(document, of: id)
        } else if case .tokens(let tokens) = document.content {
            try appendNew(document, tokens: tokens)
        }
    }

    /// Updates the index and the counts for the appended documents.
    func finish() throws {
        try PostingTable(db: db).append(postings)
        for (source, ranges) in sources { try SourceTable(db: db).append(ranges, of: source.text) }
        try state.save(db)
    }

    private mutating func appendNew(_ document: PreparedDocument, tokens: [Int32]) throws {
        guard !tokens.isEmpty else {
            outcome.summary.empty += 1
            return
        }
        let pieces = identity.pieces(of: tokens)
        let tokenCount = pieces.reduce(0) { $0 + $1.count }
        guard let name = try freeName(for: document, pieces: Int64(pieces.count)) else { return refuse(document) }
        let id = Int64(state.statistics.documents) + 1
        let firstSequence = Int64(state.statistics.sequences) + 1
        let record = document.record
        try db.cachedStatement(sql: "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)")
            .execute(arguments: [
                id, Data(document.hash.bytes), name, record.source, firstSequence, pieces.count,
                record.location.description, record.metadata, record.text,
            ])
        try identifiers.insert(name, document: id, isFirst: true)
        let insertion = try db.cachedStatement(sql: "INSERT INTO sequences VALUES (?, ?, ?, ?)")
        for (rowid, piece) in zip(firstSequence..., pieces) {
            try insertion.execute(arguments: [rowid, id, piece.lowerBound, Data(tokens[piece].littleEndianBytes)])
            postings.append(PostingTable.Addition(rowid: rowid, tokens: tokens[piece]))
        }
        if let source = record.source {
            sources[ExactString(source), default: []].append(firstSequence...(firstSequence + Int64(pieces.count) - 1))
        }

        state.contentSum.add(document.hash)
        state.statistics.documents += 1
        state.statistics.sequences += pieces.count
        state.statistics.tokens += tokenCount
        outcome.summary.documents += 1
        outcome.summary.sequences += pieces.count
        outcome.summary.tokens += tokenCount
    }

    /// The record's own identifier, or one made from its hash; nil if the name is already in use.
    private func freeName(for document: PreparedDocument, pieces: Int64) throws -> String? {
        let candidates =
            document.record.id.map { [$0] }
            ?? [16, 32, 64].map { "sha256-" + document.hash.hexadecimal.prefix($0) }
        return try candidates.first { try !identifiers.isTaken($0, pieces: pieces) }
    }

    mutating func refuse(_ document: PreparedDocument) {
        outcome.refused.append(
            .identifierTaken(location: document.record.location, id: document.record.id ?? document.hash.hexadecimal))
    }
}
