import Foundation
import Testing

@testable import Corpus

@Suite("Documents")
struct DocumentTests {
    @Test("keep text, source, metadata and origin as they came")
    func roundTrip() throws {
        let corpus = try TestCorpus(sequenceLength: 16)
        let line = #"""
            {"text": "A \"quoted\" \u00e9t\u00e9, \ud83d\ude00\nnext line\tend ", "source": "s/1", "id": "é",
            """#
            + #""metadata": {"b": [1, 2.50, null, true, {"x": "/"}], "a": 1234567890123456789012345, "c": "\u0000"}}"#
        try corpus.add("\n\n" + line.replacingOccurrences(of: "\n", with: " ") + "\n")

        let document = try #require(try corpus.store.document(named: "é"))
        #expect(document.text == "A \"quoted\" \u{e9}t\u{e9}, \u{1f600}\nnext line\tend ")
        #expect(document.source == "s/1")
        #expect(document.metadata == #"{"b":[1,2.50,null,true,{"x":"/"}],"a":1234567890123456789012345,"c":"\u0000"}"#)
        #expect(document.origin == "test.jsonl:3")
        #expect(document.copies == 1)
        #expect(document.otherIDs.isEmpty)
        #expect(document.sequences == 1...3)
        #expect(try corpus.store.document(named: "é#2") == document)
    }

    @Test("may have numbers for ids, and null for what they do not have")
    func optionalFields() throws {
        let corpus = try TestCorpus()
        try corpus.add(
            """
            {"id": 12, "text": "a", "source": null, "metadata": null, "other": [1]}
            {"id": -3, "text": "b"}
            {"id": 18446744073709551615, "text": "c"}
            {"id": null, "text": "d"}
            {"id": 1234567890123456789012345, "text": "e", "other": 1e400}
            {"id": 7.0, "text": "f"}

            """)
        let ids = try corpus.contents().map(\.id)
        #expect(
            ids == [
                "12", "-3", "18446744073709551615", "sha256-18ac3e7343f01689", "1234567890123456789012345", "7",
            ])
        let document = try #require(try corpus.store.document(named: "12"))
        #expect(document.source == nil && document.metadata == nil)
    }

    @Test("of equal text are one, and go by all their ids")
    func duplicates() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        let summary = try corpus.add(
            jsonLine(id: "a", text: "abcdef") + jsonLine(id: "b", text: "abcdef") + jsonLine(text: "abcdef"))
        #expect(summary.documents == 1 && summary.sequences == 2 && summary.tokens == 6 && summary.duplicates == 2)

        let document = try #require(try corpus.store.document(named: "a"))
        #expect(document.otherIDs == ["b"])
        #expect(document.copies == 3)
        #expect(try corpus.store.document(named: "b") == document)
        #expect(try corpus.store.sequences(named: "b#1").map(\.id) == ["a#1"])
        let statistics = try corpus.store.statistics()
        #expect(statistics.documents == 1 && statistics.sequences == 2 && statistics.duplicates == 2)
    }

    @Test("are not copies of themselves: importing a file again adds nothing")
    func importingAgain() throws {
        let corpus = try TestCorpus()
        let lines =
            jsonLine(id: "a", text: "one") + jsonLine(id: "b", text: "one") + jsonLine(text: "one")
            + jsonLine(text: "two") + jsonLine(text: "two") + jsonLine(id: "a", text: "one")
        let first = try corpus.add(lines)
        #expect(first.documents == 2 && first.duplicates == 4)
        let statistics = try corpus.store.statistics()
        #expect(statistics.duplicates == 3)

        let second = try corpus.add(lines)
        #expect(second.documents == 0 && second.duplicates == 6)
        #expect(try corpus.store.statistics() == statistics)
        #expect(try corpus.store.document(named: "a")?.copies == 3)

        try corpus.add(jsonLine(text: "two"), name: "other.jsonl")
        #expect(try corpus.store.statistics().duplicates == 4)
    }

    @Test("are told apart by their bytes, not by what Unicode calls equal")
    func canonicalEquivalence() throws {
        let corpus = try TestCorpus()
        try corpus.add(jsonLine(id: "\u{e9}", text: "\u{e9}") + jsonLine(id: "e\u{301}", text: "e\u{301}"))
        #expect(try corpus.store.statistics().documents == 2)
        #expect(try corpus.store.sequences(named: "\u{e9}").map(\.rowid) == [1])
        #expect(try corpus.store.sequences(named: "e\u{301}").map(\.rowid) == [2])
    }

    @Test(
        "of sources that Unicode calls equal are of two sources, in every search and in a corpus of an earlier version")
    func sourcesAlike() throws {
        let corpus = try TestCorpus()
        let sources = ["caf\u{e9}", "cafe\u{301}"]
        try corpus.add(
            jsonLine(text: "xa", more: ", \"source\": \"\(sources[0])\"")
                + jsonLine(text: "xb", more: ", \"source\": \"\(sources[1])\""))
        func expectTwo(sourceLocation: SourceLocation = #_sourceLocation) throws {
            for (index, source) in sources.enumerated() {
                let found = try corpus.store.termIndex.search(queryTokens: [120], limit: 9, source: source)
                #expect(found.map(\.rowid) == [Int64(index + 1)], sourceLocation: sourceLocation)
                #expect(try corpus.store.rowids(source: source) == [Int64(index + 1)], sourceLocation: sourceLocation)
            }
        }
        try expectTwo()

        // As it was written before: both under the name of one.
        try corpus.store.database.write { db in
            try db.execute(sql: "DELETE FROM source_sequences")
            try SourceTable(db: db).append([1...2], of: sources[1])
            try db.execute(sql: "DELETE FROM grdb_migrations WHERE identifier = '3'")
        }
        let again = try CorpusStore(folder: corpus.folder.url, tokenization: corpus.store.tokenization)
        try expectTwo()
        try again.database.write { db in
            try db.execute(sql: "DELETE FROM source_sequences")
            try SourceTable(db: db).build()
        }
        try expectTwo()
    }

    @Test("and their pieces are found by many names at once, in the order of the names")
    func manyNames() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(
            jsonLine(id: "a", text: "abcdef") + jsonLine(id: "q\\\"\\u00e9\\n", text: "b")
                + jsonLine(id: "e\u{301}", text: "c")
                + jsonLine(id: "9", text: "d"))
        let store = corpus.store
        #expect(
            try store.rowids(named: ["9", "a#1", "q\"\u{E9}\n", "a", "a", "e\u{301}"]) == [5, 2, 3, 1, 2, 1, 2, 4])
        #expect(try store.rowids(named: []) == [])
        let unknown = ["b", "a#2", "\u{E9}", "9\u{0}", "9\u{0}x", ""]
        #expect(throws: CorpusError.unknownIdentifiers(unknown)) { try store.rowids(named: ["a"] + unknown) }
    }

    @Test("are not found by a name or source with a NUL character behind theirs")
    func nulCharacters() throws {
        let corpus = try TestCorpus()
        try corpus.add(jsonLine(id: "9", text: "x", more: ", \"source\": \"s\""))
        let store = corpus.store
        #expect(try store.document(named: "9") != nil && store.document(named: "9\u{0}") == nil)
        #expect(try store.rowids(source: "s") == [1] && store.rowids(source: "s\u{0}y") == [])
        #expect(try store.sequences(after: 0, source: "s\u{0}", limit: 9).isEmpty)
        #expect(try store.termIndex.search(queryTokens: [120], limit: 9, source: "s\u{0}").isEmpty)
    }

    @Test("may have metadata as deep as JSON may be, read in time that grows with its length")
    func deepMetadata() throws {
        let corpus = try TestCorpus()
        let deep = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)
        try corpus.add(jsonLine(id: "a", text: "a", more: ", \"metadata\": {\"m\": \(deep)}"))
        #expect(try corpus.store.document(named: "a")?.metadata == "{\"m\":\(deep)}")
    }

    @Test("cannot take the id of another text, nor a name that a piece has or would have")
    func takenIdentifiers() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(
            jsonLine(id: "a", text: "abcdef") + jsonLine(id: "b", text: "b") + jsonLine(id: "c#1", text: "c")
                + jsonLine(id: "d#2", text: "d") + jsonLine(id: "e#x", text: "e"))
        func refused(_ line: String) -> CorpusImportError? {
            importFailure { try corpus.add(line) }?.reason
        }
        let long = "0123456"
        #expect(refused(jsonLine(id: "a", text: "other")) == .identifierTaken(location: .line(1), id: "a"))
        #expect(refused(jsonLine(id: "a", text: "b")) == .identifierTaken(location: .line(1), id: "a"))
        #expect(refused(jsonLine(id: "a#1", text: "other")) == .identifierTaken(location: .line(1), id: "a#1"))
        #expect(refused(jsonLine(id: "c", text: long)) == .identifierTaken(location: .line(1), id: "c"))
        // An alias of a document with pieces names its pieces, too.
        #expect(refused(jsonLine(id: "c", text: "abcdef")) == .identifierTaken(location: .line(1), id: "c"))

        let before = try corpus.store.statistics().documents
        try corpus.add(
            jsonLine(id: "a#2", text: "no such piece") + jsonLine(id: "c", text: "one")
                + jsonLine(id: "d", text: long) + jsonLine(id: "e", text: long + "8"))
        #expect(try corpus.store.statistics().documents == before + 4)
        #expect(try corpus.store.sequences(named: "d#2").map(\.documentID) == ["d#2"])
        #expect(try corpus.store.sequences(named: "d#1").map(\.documentID) == ["d"])
    }
}
