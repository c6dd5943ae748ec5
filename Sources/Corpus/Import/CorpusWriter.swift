import Files
import Foundation
import GRDB
import JSON
import Sequences

/// A record that is ready to be written: all slow work is done.
struct PreparedDocument: Sendable {
    enum Content: Sendable {
        /// The corpus already had the text, in this document, when the record was prepared.
        case known(document: Int64)
        /// The document's tokens, without the prefix.
        case tokens([Int32])
        /// The tokens of a row with a loss mask. It is one sequence, which is cut and not split if it is too long.
        ///
        /// - Parameter isWhole: Whether the tokens are complete, so that the prefix is not put in front of them.
        case row(TrainingSequence, isWhole: Bool)
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
            try appendNew(
                document, identity.pieces(of: tokens).map { Piece(offset: $0.lowerBound, tokens: tokens[$0]) })
        } else if case .row(let sequence, let isWhole) = document.content {
            try appendRow(document, sequence, isWhole: isWhole)
        }
    }

    /// Updates the index and the counts for the appended documents.
    func finish() throws {
        try PostingTable(db: db).append(postings)
        for (source, ranges) in sources { try SourceTable(db: db).append(ranges, of: source.text) }
        try state.save(db)
    }

    /// A sequence of a new document.
    private struct Piece {
        /// The number of the document's tokens before it.
        var offset: Int
        var tokens: ArraySlice<Int32>
        var loss = LossMask.all
        var isWhole = false
    }

    private mutating func appendRow(_ document: PreparedDocument, _ sequence: TrainingSequence, isWhole: Bool) throws {
        let prefix = isWhole ? 0 : identity.prefix.count
        let isChat = document.record.droppedMessages != nil
        let kept = sequence.tokens.prefix(identity.sequenceLength - prefix)
        // Without a prefix nothing predicts the first token.
        let predictable = (prefix > 0 ? 0 : 1)..<max(kept.count, 1)
        guard kept.count > 0, sequence.loss.count(within: predictable) > 0 else {
            if sequence.loss.count(within: predictable.lowerBound..<max(sequence.count, 1)) > 0 {
                outcome.summary.cutBeforeLoss += 1
                if isChat { outcome.summary.cutChats += 1 }
            } else {
                outcome.summary.withoutLoss += 1
            }
            return
        }
        if kept.count < sequence.count {
            outcome.summary.cut += 1
            if isChat { outcome.summary.cutChats += 1 }
        }
        if document.record.droppedMessages ?? 0 > 0 { outcome.summary.shortened += 1 }
        let isAll = sequence.loss.count(within: predictable) == predictable.count
        let loss = isAll && prefix <= 1 ? .all : sequence.loss.part(0..<kept.count)
        try appendNew(document, [Piece(offset: 0, tokens: kept, loss: loss, isWhole: isWhole)])
    }

    private mutating func appendNew(_ document: PreparedDocument, _ pieces: [Piece]) throws {
        guard !pieces.isEmpty else {
            outcome.summary.empty += 1
            return
        }
        let tokenCount = pieces.reduce(0) { $0 + $1.tokens.count }
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
        let insertion = try db.cachedStatement(sql: "INSERT INTO sequences VALUES (?, ?, ?, ?, ?, ?)")
        for (rowid, piece) in zip(firstSequence..., pieces) {
            try insertion.execute(arguments: [
                rowid, id, piece.offset, Data(piece.tokens.littleEndianBytes), piece.loss.stored, piece.isWhole,
            ])
            postings.append(PostingTable.Addition(rowid: rowid, tokens: piece.tokens))
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
