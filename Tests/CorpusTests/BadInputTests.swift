import Foundation
import Testing

@testable import Corpus

@Suite("Bad input")
struct BadInputTests {
    /// A line that cannot be imported, and what is wrong with it.
    struct BadLine: Sendable, CustomTestStringConvertible {
        let line: String
        let isExpected: @Sendable (CorpusImportError) -> Bool

        init(_ line: String, _ isExpected: @escaping @Sendable (CorpusImportError) -> Bool) {
            self.line = line
            self.isExpected = isExpected
        }

        init(_ line: String, _ error: CorpusImportError) {
            self.init(line) { $0 == error }
        }

        init(malformed line: String, says words: String...) {
            self.init(line) { error in
                if case .malformedJSON(let location, let reason) = error {
                    location == .line(3) && words.allSatisfy(reason.contains) && reason.hasPrefix("column ")
                } else {
                    false
                }
            }
        }

        init(_ line: String, field: String?, expected: String, found: String) {
            self.init(line, .wrongType(location: .line(3), field: field, expected: expected, found: found))
        }

        var testDescription: String { line }
    }

    static let badLines = [
        BadLine(malformed: #"{"text": "a""#),
        BadLine(malformed: #"{"text": "a"} {"text": "b"}"#),
        BadLine(malformed: #"{text: "a"}"#),
        BadLine(malformed: #"{"text": "\ud800"}"#),
        BadLine(malformed: #"{"text": "a\x"}"#),
        BadLine(malformed: "{\"text\": \"tab\there\"}"),
        BadLine(malformed: "{\"text\": \"a\u{0}b\"}"),
        BadLine(malformed: #"{"text": "a",}"#),
        BadLine(malformed: #"{"text": "a", "metadata": {"n": [1, 2,]}}"#),
        BadLine(malformed: #"{"text": "a", "text": "b"}"#),
        BadLine(malformed: #"{"text": "a", "other": {"b": 1, "b": 2}}"#),
        BadLine(malformed: #"{"text": "a", "score": NaN}"#, says: "NaN is not JSON, in \"score\"", "column 24"),
        BadLine(malformed: #"{"text": "a", "metadata": {"n": -Infinity}}"#, says: "-Infinity", "metadata.n"),
        BadLine(malformed: #"{"text": "a"#, says: "jq -c ."),
        BadLine(malformed: "\u{FEFF}{\"text\": \"a\"}", says: "a byte order mark"),
        BadLine(malformed: String(repeating: "[", count: 100_000)),
        BadLine(malformed: "plain text"),
        BadLine(#"["a"]"#, field: nil, expected: "an object", found: "an array"),
        BadLine("7", field: nil, expected: "an object", found: "a number"),
        BadLine(#"{"text": 1}"#, field: "text", expected: "a string", found: "a number"),
        BadLine(#"{"text": ["a"]}"#, field: "text", expected: "a string", found: "an array"),
        BadLine(#"{"text": "a", "id": {}}"#, field: "id", expected: "a string or an integer", found: "an object"),
        BadLine(#"{"text": "a", "id": 1.5}"#, field: "id", expected: "a string or an integer", found: "a number"),
        BadLine(#"{"text": "a", "id": true}"#, field: "id", expected: "a string or an integer", found: "a boolean"),
        BadLine(#"{"text": "a", "source": 1}"#, field: "source", expected: "a string", found: "a number"),
        BadLine(#"{"text": "a", "metadata": []}"#, field: "metadata", expected: "an object", found: "an array"),
        BadLine(#"{"text": "a", "metadata": "m"}"#, field: "metadata", expected: "an object", found: "a string"),
        BadLine(#"{"id": "a"}"#, .missingRow(location: .line(3), fields: RowFields(), present: ["id"])),
        BadLine("{}", .missingRow(location: .line(3), fields: RowFields(), present: [])),
        BadLine(#"{"text": null}"#, .missingRow(location: .line(3), fields: RowFields(), present: [])),
        BadLine(#"{"text": ""}"#, .emptyField(location: .line(3), field: "text")),
        BadLine(#"{"text": " \n\t"}"#, .emptyField(location: .line(3), field: "text")),
        BadLine(#"{"text": "a", "id": ""}"#, .emptyField(location: .line(3), field: "id")),
        BadLine(#"{"text": "a", "source": ""}"#, .emptyField(location: .line(3), field: "source")),
        BadLine(#"{"text": "a\u0000b"}"#, .nulCharacter(location: .line(3), field: "text")),
        BadLine(#"{"text": "a", "id": "i\u0000"}"#, .nulCharacter(location: .line(3), field: "id")),
        BadLine(#"{"text": "a", "source": "\u0000"}"#, .nulCharacter(location: .line(3), field: "source")),
        BadLine(
            "{\"text\": \"a\", \"id\": \"\(String(repeating: "é", count: 1_025))\"}",
            .nameTooLong(location: .line(3), field: "id", bytes: 2_050, limit: 2_048)),
        BadLine(
            "{\"text\": \"a\", \"source\": \"\(String(repeating: "s", count: 2_049))\"}",
            .nameTooLong(location: .line(3), field: "source", bytes: 2_049, limit: 2_048)),
        BadLine(#"{"text": "a", "id": "."}"#, .dotSegment(location: .line(3), id: ".")),
        BadLine(#"{"text": "a", "id": ".."}"#, .dotSegment(location: .line(3), id: "..")),
        BadLine(#"{"text": "a", "id": "one"}"#, .identifierTaken(location: .line(3), id: "one")),
    ]

    @Test("ends the import there, with file and line, and with everything before it kept", arguments: badLines)
    func stops(bad: BadLine) throws {
        let corpus = try TestCorpus()
        let failure = try #require(
            importFailure {
                try corpus.add(
                    jsonLine(id: "one", text: "first") + jsonLine(text: "second") + bad.line + "\n"
                        + jsonLine(text: "last"), format: .jsonLines)
            })
        #expect(bad.isExpected(failure.reason), "\(failure.reason)")
        #expect(failure.description.hasPrefix("test.jsonl:3: "))
        #expect(failure.description.contains("2 documents were added"))
        #expect(failure.summary.documents == 2)
        #expect(try corpus.store.statistics().documents == 2)
        #expect(try corpus.store.termIndex.search(queryTokens: [Int32(UInt8(ascii: "d"))], limit: 9).count == 1)
    }

    @Test("is left out and described where that was asked for", arguments: badLines)
    func skips(bad: BadLine) throws {
        let corpus = try TestCorpus()
        let summary = try corpus.add(
            jsonLine(id: "one", text: "first") + jsonLine(text: "second") + bad.line + "\n" + jsonLine(text: "last"),
            format: .jsonLines, badRecords: .skip)
        #expect(summary.documents == 3 && summary.rejected == 1 && summary.rejections.count == 1)
        #expect(summary.rejections.allSatisfy(bad.isExpected))
        #expect(try corpus.store.statistics().documents == 3)
    }

    @Test("is described only for its first records")
    func manySkipped() throws {
        let corpus = try TestCorpus()
        let summary = try corpus.add(
            String(repeating: "{}\n", count: 50) + jsonLine(text: "x"), badRecords: .skip)
        #expect(summary.rejected == 50 && summary.documents == 1)
        #expect(
            summary.rejections == (1...20).map { .missingRow(location: .line($0), fields: RowFields(), present: []) })
    }

    @Test("that is not UTF-8 is found by line and byte, in JSON lines and in text")
    func invalidUTF8() throws {
        let corpus = try TestCorpus()
        func reason(_ bytes: [UInt8], _ name: String) throws -> CorpusImportError? {
            let file = try corpus.folder.write(bytes, to: name)
            return importFailure { try CorpusImport(into: corpus.store).run([.file(file)]) }?.reason
        }
        let good = Array("{\"text\": \"\u{e9}\"}\n".utf8)
        #expect(
            try reason(good + Array("{\"text\": \"".utf8) + [0xc3, 0x28] + Array("\"}\n".utf8), "a.jsonl")
                == .invalidUTF8(location: .line(2, of: "a.jsonl"), column: 11))
        #expect(
            try reason(Array("first\n\nsecond\nth".utf8) + [0xff] + Array("ird".utf8), "b.txt")
                == .invalidUTF8(location: .line(4, of: "b.txt"), column: 3))
        #expect(
            try reason(Array("cut in a character \u{20ac}".utf8.dropLast()), "c.txt")
                == .invalidUTF8(location: .line(1, of: "c.txt"), column: 20))
        #expect(try corpus.store.statistics().documents == 2)
    }

    @Test("with a NUL character is refused in plain text, too")
    func nulInText() throws {
        let corpus = try TestCorpus()
        let failure = importFailure { try corpus.add("one\n\ntwo\u{0}\n", name: "a.txt", format: .plainText) }
        #expect(failure?.reason == .nulCharacter(location: .line(3, of: "a.txt"), field: "text"))
        #expect(failure?.summary.documents == 1)
    }

    @Test("that is no file is refused before anything is read")
    func paths() throws {
        let corpus = try TestCorpus()
        let good = try corpus.folder.write(jsonLine(text: "a"), to: "a.jsonl")
        let missing = corpus.folder.url.appendingPathComponent("missing.jsonl").path
        func failure(_ path: String) -> CorpusImportFailure? {
            importFailure { try CorpusImport(into: corpus.store).run([.file(good), .file(path)]) }
        }
        #expect(failure(missing)?.reason == .missingFile(path: missing))
        #expect(failure(corpus.folder.url.path)?.reason == .isFolder(path: corpus.folder.url.path))
        #expect(failure("")?.reason == .missingFile(path: ""))
        #expect(try corpus.store.statistics().documents == 0)
    }

    @Test("longer than a record may be is refused by line")
    func tooLong() throws {
        let corpus = try TestCorpus()
        var importer = CorpusImport(into: corpus.store)
        importer.recordLimit = 100
        let long = String(repeating: "x", count: 101)
        let fits = String(repeating: "y", count: 100)
        func reason(_ text: String, _ format: CorpusInput.Format) -> CorpusImportError? {
            importFailure { try importer.run([.bytes(Array(text.utf8), name: "t", format: format)]) }?.reason
        }
        let tooLong = CorpusImportError.tooLong(location: .line(3, of: "t"), limit: 100)
        #expect(reason("a\n\n\(long)\n", .plainText) == tooLong)
        #expect(reason("b\n\n\(fits.prefix(50))\n\(fits.prefix(50))", .plainText) == tooLong)
        #expect(reason("\(fits)\n\n\(fits.prefix(50))\n\(fits.prefix(49))", .plainText) == nil)
        #expect(reason("{\"text\": \"c\"}\n\n\(long)", .jsonLines) == tooLong)
        #expect(try corpus.store.statistics().documents == 5)
    }

    @Test("that the tokenizer refuses ends the import there")
    func tokenizerError() throws {
        struct Refusal: Error, CustomStringConvertible {
            let description = "no such word"
        }
        let corpus = try TestCorpus { text in
            if text == "bad" { throw Refusal() }
            return [1]
        }
        let lines = jsonLine(text: "a") + jsonLine(text: "bad") + jsonLine(text: "c")
        let refusal = CorpusImportError.untokenizable(location: .line(2), reason: "no such word")
        let failure = importFailure { try corpus.add(lines + "{}") }
        #expect(failure?.reason == refusal)
        #expect(failure?.summary.documents == 1)

        let summary = try corpus.add(lines, badRecords: .skip)
        #expect(summary.documents == 1 && summary.rejections == [refusal])
    }

    @Test("of a full disk loses only the batch that did not fit, and says so")
    func diskFull() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let reference = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let lines = jsonLines(0..<4000)
        try reference.add(lines)
        try corpus.store.database.write { db in try db.execute(sql: "PRAGMA max_page_count = 100") }

        var importer = CorpusImport(into: corpus.store)
        importer.batchLimit = (records: 100, bytes: 1 << 20)
        let input = CorpusInput.bytes(Array(lines.utf8), name: "test.jsonl")
        let failure = try #require(importFailure { try importer.run([input]) })
        #expect(failure.reason == .store(.diskFull(file: corpus.store.file)))
        #expect(failure.description.contains("the disk is full"))
        let kept = try corpus.store.statistics().documents
        #expect(kept > 0 && kept % 100 == 0 && kept == failure.summary.documents)
        #expect(failure.description.contains("\(kept) documents were added"))
        #expect(try corpus.contents() == Array(reference.contents().prefix(kept)))
        #expect(try corpus.store.termIndex.sequencesWithToken(3) == (0..<kept).count { $0 % 5 == 3 || $0 % 17 == 3 })

        try corpus.store.database.write { db in try db.execute(sql: "PRAGMA max_page_count = 1000000") }
        #expect(try importer.run([input]).documents == 4000 - kept)
        #expect(try corpus.contents() == reference.contents())
    }
}
