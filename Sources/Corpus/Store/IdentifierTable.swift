import GRDB
import JSON

/// The names of documents and sequences.
///
/// A document is named by its external identifiers. A piece of a document with several pieces is named by an identifier of the
/// document, `#` and its number. No name has two meanings: an identifier that looks like an existing piece's name, or whose pieces'
/// names exist already, is refused.
struct IdentifierTable {
    let db: Database

    /// The sequences with a name: one piece, or all pieces of a document. Nil if the name is unknown.
    func sequences(named name: String) throws -> ClosedRange<Int64>? {
        if let document = try document(named: name) {
            return document.sequences
        }
        guard
            let reference = PieceReference(name),
            let document = try document(named: reference.document),
            document.sequences.count > 1, reference.piece < document.sequences.count
        else { return nil }
        let rowid = document.sequences.lowerBound + reference.piece
        return rowid...rowid
    }

    /// The sequences with each of many names, in the order of the names.
    ///
    /// One statement finds all documents among them: a statement per name takes several times as long.
    func sequences(named names: [String]) throws -> [ClosedRange<Int64>?] {
        var found = [ClosedRange<Int64>?](repeating: nil, count: names.count)
        let list = JSONTree.array(names.map { $0.isCutBySQLite ? .null : .string($0) }).text
        let rows = try Row.fetchCursor(
            db.cachedStatement(
                sql: """
                    SELECT key, first_sequence, pieces
                    FROM json_each(?) CROSS JOIN identifiers ON name = value JOIN documents ON documents.id = document
                    """), arguments: [list])
        while let row = try rows.next() {
            found[row[0] as Int] = row.sequences(first: 1, pieces: 2)
        }
        for index in names.indices where found[index] == nil { found[index] = try sequences(named: names[index]) }
        return found
    }

    func document(named name: String) throws -> DocumentRow? {
        guard !name.isCutBySQLite else { return nil }
        let statement = try db.cachedStatement(
            sql: """
                SELECT documents.id, first_sequence, pieces
                FROM identifiers JOIN documents ON documents.id = document
                WHERE name = ?
                """)
        return try Row.fetchOne(statement, arguments: [name]).map { row in
            DocumentRow(id: row[0], sequences: row.sequences(first: 1, pieces: 2))
        }
    }

    /// Whether `name` is in use, or the name of a piece would be if a document with this many pieces had this name.
    func isTaken(_ name: String, pieces: Int64) throws -> Bool {
        if try sequences(named: name) != nil { return true }
        guard pieces > 1 else { return false }
        // "$" is the character after "#".
        let statement = try db.cachedStatement(sql: "SELECT name FROM identifiers WHERE name >= ? AND name < ?")
        let names = try String.fetchCursor(statement, arguments: [name + "#", name + "$"])
        while let other = try names.next() {
            if let reference = PieceReference(other), reference.document.hasSameBytes(as: name),
                reference.piece < pieces
            {
                return true
            }
        }
        return false
    }

    /// Names a document. The name must not be taken.
    func insert(_ name: String, document: Int64, isFirst: Bool) throws {
        try db.cachedStatement(sql: "INSERT INTO identifiers VALUES (?, ?, ?)")
            .execute(arguments: [name, document, isFirst])
    }
}

struct DocumentRow {
    let id: Int64
    let sequences: ClosedRange<Int64>
}

/// The name of one piece of a document: `document#piece`, with the piece in decimal digits and without leading zeros.
struct PieceReference: Equatable {
    let document: String
    let piece: Int64

    init?(_ name: String) {
        guard
            let mark = name.utf8.lastIndex(of: UInt8(ascii: "#")),
            let piece = Int64(name[name.utf8.index(after: mark)...]),
            String(piece).utf8.elementsEqual(name.utf8[name.utf8.index(after: mark)...]), piece >= 0
        else { return nil }
        self.document = String(name[..<mark])
        self.piece = piece
    }
}
