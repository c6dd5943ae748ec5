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

/// The result of adding a batch of records.
struct AppendOutcome: Sendable {
    var summary = CorpusImportSummary()
    /// An error for each record whose identifier belongs to another text.
    var refused: [CorpusImportError] = []
}

extension CorpusStore {
    /// For each of these texts that the corpus has, the document with the text.
    func documents(withHashes hashes: [ContentHash]) throws -> [ContentHash: Int64] {
        try read { db in
            let statement = try db.cachedStatement(sql: "SELECT id FROM documents WHERE content_hash = ?")
            var documents: [ContentHash: Int64] = [:]
            for hash in hashes {
                documents[hash] = try Int64.fetchOne(statement, arguments: [Data(hash.bytes)])
            }
            return documents
        }
    }

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
private struct CorpusWriter {
    private let db: Database
    private let identity: CorpusTokenizationIdentity
    private let identifiers: IdentifierTable
    private var state: CorpusState
    private var postings: [PostingTable.Addition] = []
    private var sources: [ExactString: [ClosedRange<Int64>]] = [:]
    private(set) var outcome = AppendOutcome()

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

    private func existingDocument(_ hash: ContentHash) throws -> Int64? {
        try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT id FROM documents WHERE content_hash = ?"), arguments: [Data(hash.bytes)])
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

    private mutating func appendCopy(_ document: PreparedDocument, of id: Int64) throws {
        let isNewCopy: Bool
        if let name = document.record.id {
            if let holder = try identifiers.document(named: name) {
                guard holder.id == id else { return refuse(document) }
                isNewCopy = false
            } else {
                let pieces = try Int64.fetchOne(
                    db.cachedStatement(sql: "SELECT pieces FROM documents WHERE id = ?"), arguments: [id])
                guard try !identifiers.isTaken(name, pieces: pieces ?? 1) else { return refuse(document) }
                try identifiers.insert(name, document: id, isFirst: false)
                isNewCopy = true
            }
        } else {
            try db.cachedStatement(
                sql: """
                    INSERT OR IGNORE INTO occurrences
                    SELECT id, ?2 FROM documents WHERE id = ?1 AND origin <> ?2
                    """
            ).execute(arguments: [id, document.record.location.description])
            isNewCopy = db.changesCount > 0
        }

        outcome.summary.duplicates += 1
        if isNewCopy {
            try db.cachedStatement(sql: "UPDATE documents SET copies = copies + 1 WHERE id = ?")
                .execute(arguments: [id])
            state.statistics.duplicates += 1
        }
    }

    /// The record's own identifier, or one made from its hash; nil if the name is already in use.
    private func freeName(for document: PreparedDocument, pieces: Int64) throws -> String? {
        let candidates =
            document.record.id.map { [$0] }
            ?? [16, 32, 64].map { "sha256-" + document.hash.hexadecimal.prefix($0) }
        return try candidates.first { try !identifiers.isTaken($0, pieces: pieces) }
    }

    private mutating func refuse(_ document: PreparedDocument) {
        outcome.refused.append(
            .identifierTaken(location: document.record.location, id: document.record.id ?? document.hash.hexadecimal))
    }
}
