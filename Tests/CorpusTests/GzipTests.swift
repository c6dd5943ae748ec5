import Testing

@testable import Corpus

@Suite("Compressed input")
struct GzipTests {
    @Test("is told by its first bytes, and by a name that promises it")
    func recognition() throws {
        let corpus = try TestCorpus()
        let compressed = try GzipFixture.stored(Array(jsonLine(text: "a").utf8))
        let unnamed = try corpus.folder.write(compressed, to: "data")
        let misnamed = try corpus.folder.write(jsonLine(text: "b"), to: "b.jsonl.gz")
        try CorpusImport(into: corpus.store).run([.file(unnamed)])
        #expect(try corpus.store.statistics().documents == 1)
        let failure = importFailure { try CorpusImport(into: corpus.store).run([.file(misnamed)]) }
        #expect(failure?.reason == .corruptCompression(file: "b.jsonl.gz", reason: "it is not in gzip format"))
    }

    @Test("that ends too early keeps the records before, also those of an unfinished batch")
    func recordsBeforeTheEnd() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let whole = try GzipFixture.stored(Array(jsonLines(0..<1000).utf8), blockSize: 1000)
        let file = try corpus.folder.write(Array(whole.dropLast(2000)), to: "a.jsonl.gz")
        let failure = try #require(importFailure { try CorpusImport(into: corpus.store).run([.file(file)]) })
        #expect(failure.reason == .truncatedCompression(file: "a.jsonl.gz"))
        let kept = try corpus.store.statistics().documents
        #expect(kept > 900 && kept < 1000 && failure.summary.documents == kept)
        #expect(try corpus.contents().map(\.id) == (0..<kept).map { "doc-\($0)" })
    }

    @Test("that ends too early is less urgent than a bad line before its end")
    func badLineBeforeTheEnd() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let lines = jsonLines(0..<10) + "{}\n" + jsonLines(10..<100)
        let whole = try GzipFixture.stored(Array(lines.utf8), blockSize: 1000)
        let file = try corpus.folder.write(Array(whole.dropLast(100)), to: "a.jsonl.gz")
        let failure = try #require(importFailure { try CorpusImport(into: corpus.store).run([.file(file)]) })
        #expect(failure.reason == .missingRow(location: .line(11, of: "a.jsonl.gz"), fields: RowFields(), present: []))
        #expect(failure.summary.documents == 10)
        #expect(try corpus.store.statistics().documents == 10)
    }
}
