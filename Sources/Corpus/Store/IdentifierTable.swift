import GRDB
import JSON

/// The names of documents and sequences.
///
/// A document goes by its external identifiers. A piece of a document that has several goes by an identifier of the
/// document, `#` and its number. No name means two things: an identifier that looks like an existing piece's name, or whose
/// pieces' names exist already, is refused.
struct IdentifierTable {
    let db: Database

    /// The sequences that a name stands for: one piece, or all pieces of a document. Nil if it is unknown.
    func sequences(named name: String) throws -> ClosedRange<Int64>? {
        if let document = try document(named: name) {
            return document.sequences
        }
        guard
            let reference = PieceReference(name),
            let document = try document(named: reference.document),
            document.pieces > 1, reference.piece < document.pieces
        else { return nil }
        let rowid = document.firstSequence + reference.piece
        return rowid...rowid
    }

    /// The sequences that each of many names stands for, in the order of the names.
    ///
    /// The documents among them are found by one statement: running one for each name takes several times as long.
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
            let index: Int = row[0]
            let (first, pieces): (Int64, Int64) = (row[1], row[2])
            found[index] = first...(first + pieces - 1)
        }
        for index in names.indices where found[index] == nil { found[index] = try sequences(named: names[index]) }
        return found
    }

    /// The row of the document with this external identifier.
    func document(named name: String) throws -> DocumentRow? {
        guard !name.isCutBySQLite else { return nil }
        let statement = try db.cachedStatement(
            sql: """
                SELECT documents.id, first_sequence, pieces
                FROM identifiers JOIN documents ON documents.id = document
                WHERE name = ?
                """)
        return try Row.fetchOne(statement, arguments: [name]).map { row in
            DocumentRow(id: row[0], firstSequence: row[1], pieces: row[2])
        }
    }

    /// Whether a document of `pieces` pieces may not be named `name`, since the name, or one of a piece, has a meaning.
    func isTaken(_ name: String, pieces: Int64) throws -> Bool {
        if try sequences(named: name) != nil { return true }
        guard pieces > 1 else { return false }
        // "$" is the character after "#".
        let statement = try db.cachedStatement(sql: "SELECT name FROM identifiers WHERE name >= ? AND name < ?")
        let names = try String.fetchCursor(statement, arguments: [name + "#", name + "$"])
        while let other = try names.next() {
            if let reference = PieceReference(other), reference.document.utf8.elementsEqual(name.utf8),
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

/// Where a document's sequences are.
struct DocumentRow {
    let id: Int64
    let firstSequence: Int64
    let pieces: Int64

    var sequences: ClosedRange<Int64> { firstSequence...(firstSequence + pieces - 1) }
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

extension String {
    /// Whether SQLite would take the text for a shorter one: one of its NUL characters ends a text that is handed over
    /// (sqlite.org/nulinstr.html). No name and no source of a corpus has one.
    var isCutBySQLite: Bool { utf8.contains(0) }
}
