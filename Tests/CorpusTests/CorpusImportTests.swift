import Foundation
import Synchronization
import Testing

@testable import Corpus

@Suite("An import")
struct CorpusImportTests {
    @Test("gives the same corpus whatever the size of its batches", arguments: [1, 2, 7, 64, 1000])
    func batchSizes(records: Int) throws {
        let lines = jsonLines(0..<150) + jsonLines(100..<200)
        let reference = try TestCorpus(sequenceLength: 8)
        try reference.add(lines)

        let corpus = try TestCorpus(sequenceLength: 8)
        var importer = CorpusImport(into: corpus.store)
        importer.batchLimit = (records: records, bytes: records * 10)
        let summary = try importer.run([.bytes(Array(lines.utf8), name: "test.jsonl")])
        #expect(summary.documents == 200 && summary.duplicates == 50)
        #expect(try corpus.contents() == reference.contents())
        #expect(try corpus.store.digest() == reference.store.digest())
        #expect(try corpus.store.statistics() == reference.store.statistics())
    }

    @Test("reads several inputs of different formats, in their order")
    func severalInputs() throws {
        let corpus = try TestCorpus()
        let jsonl = try corpus.folder.write(jsonLine(id: "a", text: "one"), to: "a.jsonl")
        let text = try corpus.folder.write("two\n\nthree", to: "b.txt")
        let gzipped = try corpus.folder.write(
            GzipFixture.stored(Array(jsonLine(id: "c", text: "four").utf8)), to: "c.jsonl.gz")
        let summary = try CorpusImport(into: corpus.store).run([.file(jsonl), .file(text), .file(gzipped)])
        #expect(summary.documents == 4)
        let documents = try corpus.contents().map { try corpus.store.document(named: $0.id) }
        #expect(documents.map { $0?.text } == ["one", "two", "three", "four"])
        #expect(documents.map { $0?.origin } == ["a.jsonl:1", "b.txt:1", "b.txt:3", "c.jsonl.gz:1"])
    }

    @Test("takes a paragraph of plain text as a document")
    func paragraphs() throws {
        let corpus = try TestCorpus()
        let text = "\n \nOne line.\r\n\r\n\r\n  Two\n lines \n \t \nThree,\nlonger,\nlines\n\nlast"
        try corpus.add(text, name: "t.txt", format: .plainText)
        let documents = try corpus.contents().compactMap { try corpus.store.document(named: $0.id) }
        #expect(documents.map(\.text) == ["One line.", "  Two\n lines ", "Three,\nlonger,\nlines", "last"])
        #expect(documents.map(\.origin) == ["t.txt:3", "t.txt:6", "t.txt:9", "t.txt:13"])
    }

    @Test(
        "goes by the file's name, then by the first character, for the format",
        arguments: [
            ("a.jsonl", "{\"text\": \"x\"}", "x"), ("a.ndjson", " \n{\"text\": \"x\"}", "x"),
            ("a.json", "{\"text\": \"x\"}", "x"), ("a.txt", "{an aside} [1]", "{an aside} [1]"),
            ("a", "\n\t {\"text\": \"x\"}", "x"), ("a.log", "[1] {\"text\": \"x\"}", "[1] {\"text\": \"x\"}"),
            ("A.JSONL", "\u{feff}{\"text\": \"x\"}", "x"), ("b", "\u{feff}x", "x"),
            ("c", "\u{feff}{\"text\": \"x\"}", "x"), ("d.jsonl", "\u{feff}\r\n\r\n{\"text\": \"x\"}\r\n", "x"),
        ])
    func formats(name: String, content: String, text: String) throws {
        let corpus = try TestCorpus()
        let file = try corpus.folder.write(content, to: name)
        try CorpusImport(into: corpus.store).run([.file(file)])
        let texts = try corpus.contents().map { try corpus.store.document(named: $0.id)?.text }
        #expect(texts == [text])
    }

    @Test("reads standard input where the file is called -")
    func standardInput() {
        for input in [CorpusInput.file("-"), .standardInput()] {
            guard case .standardInput = input.origin else {
                Issue.record("\(input)")
                continue
            }
            #expect(input.name == "standard input" && input.format == nil)
        }
    }

    @Test("reads what is no regular file, such as a pipe")
    func pipes() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let pipe = Pipe()
        let lines = jsonLines(0..<20_000)
        DispatchQueue.global().async {
            try? pipe.fileHandleForWriting.write(contentsOf: Data(lines.utf8))
            try? pipe.fileHandleForWriting.close()
        }
        var totals: [Int?] = []
        let path = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        let summary = try CorpusImport(into: corpus.store).run([.file(path)]) { totals.append($0.bytesTotal) }
        #expect(summary.documents == 20_000)
        #expect(totals.allSatisfy { $0 == nil } && !totals.isEmpty)
    }

    @Test("skips blank lines and line ends of any kind")
    func lineEnds() throws {
        let corpus = try TestCorpus()
        let summary = try corpus.add("\r\n{\"text\": \"a\"}\r\n\n  \n{\"text\": \"b\"}\n\t\n{\"text\": \"c\"}")
        #expect(summary.documents == 3)
    }

    @Test("gives documents a source where they have none")
    func defaultSource() throws {
        let corpus = try TestCorpus()
        let input = CorpusInput.bytes(
            Array((jsonLine(text: "a") + jsonLine(text: "b", more: ", \"source\": \"own\"")).utf8), name: "x")
        try CorpusImport(into: corpus.store, defaultSource: "default").run([input])
        #expect(try corpus.contents().map(\.source) == ["default", "own"])
    }

    @Test("counts texts without tokens, and stores nothing for them")
    func emptyTexts() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let summary = try corpus.add(jsonLine(text: "none here") + jsonLine(id: "x", text: "w1"))
        #expect(summary.empty == 1 && summary.documents == 1 && summary.sequences == 1)
        #expect(try corpus.store.statistics().documents == 1)
    }

    @Test("of nothing adds nothing")
    func nothing() throws {
        let corpus = try TestCorpus()
        #expect(try CorpusImport(into: corpus.store).run([]) == CorpusImportSummary())
        #expect(try corpus.add("") == CorpusImportSummary())
        #expect(try corpus.add(" \n\n", name: "x.txt") == CorpusImportSummary())
    }

    @Test("says how far it is, up to the last byte")
    func progress() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let lines = jsonLines(0..<3000)
        let first = try corpus.folder.write(lines, to: "a.jsonl")
        let second = try corpus.folder.write(GzipFixture.stored(Array(lines.utf8)), to: "b.jsonl.gz")
        let sizes = try [first, second].map { try Data(contentsOf: URL(fileURLWithPath: $0)).count }

        var importer = CorpusImport(into: corpus.store)
        importer.batchLimit = (records: 500, bytes: 1 << 20)
        importer.progressInterval = .zero
        var reports: [CorpusImportProgress] = []
        try importer.run([.file(first), .file(second)]) { reports.append($0) }

        #expect(reports.count >= 12)
        #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.bytesRead <= $1.bytesRead })
        #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.documents <= $1.documents })
        let last = try #require(reports.last)
        #expect(last.bytesRead == sizes[0] + sizes[1] && last.bytesTotal == sizes[0] + sizes[1])
        #expect(last.documents == 3000 && last.duplicates == 3000 && last.input == "b.jsonl.gz")

        importer.progressInterval = .seconds(3600)
        reports = []
        try importer.run([.file(first), .file(second)]) { reports.append($0) }
        #expect(reports.count == 2)
    }

    @Test("that is cancelled keeps what it committed, and goes on from there the next time")
    func cancellation() throws {
        let calls = Mutex(0)
        let corpus = try TestCorpus(sequenceLength: 8) { text in
            calls.withLock { $0 += 1 }
            return try ToyTokenizer.bytes(text)
        }
        let reference = try TestCorpus(sequenceLength: 8)
        let lines = jsonLines(0..<500)
        try reference.add(lines)

        var importer = CorpusImport(into: corpus.store)
        importer.batchLimit = (records: 50, bytes: 1 << 20)
        importer.progressInterval = .zero
        let input = CorpusInput.bytes(Array(lines.utf8), name: "test.jsonl")
        var committed = 0
        let failure = importFailure {
            try importer.run([input], progress: { committed = $0.documents }, isCancelled: { committed >= 200 })
        }
        #expect(failure?.reason == .cancelled)
        let kept = try corpus.store.statistics().documents
        #expect(kept >= 200 && kept < 500 && kept == failure?.summary.documents)
        #expect(try corpus.contents() == Array(reference.contents().prefix(corpus.store.statistics().sequences)))

        calls.withLock { $0 = 0 }
        let summary = try importer.run([input])
        #expect(summary.documents == 500 - kept && summary.duplicates == kept)
        #expect(calls.withLock { $0 } == 500 - kept, "what was there is not tokenised again")
        #expect(try corpus.contents() == reference.contents())
        #expect(try corpus.store.statistics() == reference.store.statistics())
        let token = [Int32(UInt8(ascii: "7"))]
        #expect(
            try corpus.store.termIndex.search(queryTokens: token, limit: 1000)
                == reference.store.termIndex.search(queryTokens: token, limit: 1000))
    }

    @Test("in a cancelled task adds nothing")
    func cancelledTask() async throws {
        let corpus = try TestCorpus()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return importFailure { try corpus.add(jsonLines(0..<10)) }
        }
        task.cancel()
        #expect(await task.value?.reason == .cancelled)
        #expect(try corpus.store.statistics().documents == 0)
    }

    @Test("that fails says how many documents it keeps, and what to do")
    func failureDescription() {
        var summary = CorpusImportSummary()
        let reason = CorpusImportError.missingRow(location: .line(3), fields: RowFields(), present: ["id"])
        #expect(
            CorpusImportFailure(reason: reason, summary: summary).description.hasSuffix(
                "Nothing was added to the corpus."))
        summary.documents = 1
        #expect(CorpusImportFailure(reason: reason, summary: summary).description.contains("1 document was added"))
        summary.documents = 1234
        let message = CorpusImportFailure(reason: reason, summary: summary).description
        #expect(message.hasPrefix("test.jsonl:3: the record has no \"text\", "))
        #expect(message.contains("1234 documents were added before this and are kept; importing again continues"))
    }
}
