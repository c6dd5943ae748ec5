import Foundation
import GRDB

// A text is stored once, however many records have it: the hash of its bytes identifies it.

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
}

extension CorpusWriter {
    func existingDocument(_ hash: ContentHash) throws -> Int64? {
        try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT id FROM documents WHERE content_hash = ?"), arguments: [Data(hash.bytes)])
    }

    /// Notes a record whose text a document has already: its own id becomes another name of the document, and if it has none,
    /// its location is noted. Each new name or location counts as one more copy.
    mutating func appendCopy(_ document: PreparedDocument, of id: Int64) throws {
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
}
