import Testing

@testable import Corpus

@Suite("Compressed input")
struct GzipTests {
    private func decompressed(_ bytes: [UInt8]) throws -> [UInt8] {
        let source = try GzipByteSource(MemoryByteSource(bytes), file: "f.gz")
        var output: [UInt8] = []
        while let chunk = try source.nextChunk() {
            #expect(!chunk.isEmpty)
            output += chunk
        }
        #expect(source.bytesRead == bytes.count)
        return output
    }

    private let text = Array(String(repeating: "{\"a\":1}\n", count: 500).utf8)

    @Test("is what another program compressed")
    func deflated() throws {
        #expect(try decompressed(GzipFixture.deflated) == text)
    }

    @Test("may be larger than a chunk, on either side")
    func large() throws {
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 7 ^ $0 >> 13) }
        #expect(try decompressed(GzipFixture.stored(bytes)) == bytes)
    }

    @Test("may have several members, empty ones, and zeros at the end")
    func members() throws {
        let member = GzipFixture.deflated
        #expect(try decompressed(member + member) == text + text)
        #expect(try decompressed(GzipFixture.stored([]) + member + GzipFixture.stored([1, 2])) == text + [1, 2])
        #expect(try decompressed(member + [0, 0, 0]) == text)
        #expect(try decompressed(GzipFixture.stored([])) == [])
    }

    @Test("may be split anywhere between members and chunks")
    func memberAtChunkEnd() throws {
        for extra in -3...3 {
            let first = GzipFixture.stored([UInt8](repeating: 7, count: FileByteSource.chunkSize - 43 + extra))
            #expect(try decompressed(first + GzipFixture.stored([8])).count == FileByteSource.chunkSize - 42 + extra)
        }
    }

    @Test("that is cut short is refused, wherever it is cut")
    func truncated() throws {
        let member = GzipFixture.deflated
        for length in 0..<member.count {
            #expect(throws: CorpusImportError.truncatedGzip(file: "f.gz"), "\(length)") {
                try decompressed(Array(member.prefix(length)))
            }
        }
        #expect(throws: CorpusImportError.truncatedGzip(file: "f.gz")) { try decompressed(member + member.dropLast(5)) }
    }

    @Test("that is damaged is refused, whichever byte it is")
    func corrupt() throws {
        let member = GzipFixture.stored(Array("some text".utf8))
        // The bytes from 4 to 9 are time, flags and system: nothing depends on them (RFC 1952, section 2.3.1).
        for index in member.indices where !(4...9).contains(index) {
            var bytes = member
            bytes[index] ^= 0xff
            #expect(throws: CorpusImportError.self, "byte \(index)") { try decompressed(bytes) }
        }
        #expect(
            throws: CorpusImportError.corruptGzip(file: "f.gz", reason: "other data follows the compressed data")
        ) { try decompressed(member + [0, 1, 2]) }
    }

    @Test("is told by its first bytes, and by a name that promises it")
    func recognition() throws {
        let corpus = try TestCorpus()
        let compressed = GzipFixture.stored(Array(jsonLine(text: "a").utf8))
        let unnamed = try corpus.folder.write(compressed, to: "data")
        let misnamed = try corpus.folder.write(jsonLine(text: "b"), to: "b.jsonl.gz")
        try CorpusImport(into: corpus.store).run([.file(unnamed)])
        #expect(try corpus.store.statistics().documents == 1)
        let failure = importFailure { try CorpusImport(into: corpus.store).run([.file(misnamed)]) }
        #expect(failure?.reason == .corruptGzip(file: "b.jsonl.gz", reason: "it is not in gzip format"))
    }

    @Test("that ends too early keeps the records before, also those of an unfinished batch")
    func recordsBeforeTheEnd() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let whole = GzipFixture.stored(Array(jsonLines(0..<1000).utf8), blockSize: 1000)
        let file = try corpus.folder.write(Array(whole.dropLast(2000)), to: "a.jsonl.gz")
        let failure = try #require(importFailure { try CorpusImport(into: corpus.store).run([.file(file)]) })
        #expect(failure.reason == .truncatedGzip(file: "a.jsonl.gz"))
        let kept = try corpus.store.statistics().documents
        #expect(kept > 900 && kept < 1000 && failure.summary.documents == kept)
        #expect(try corpus.contents().map(\.id) == (0..<kept).map { "doc-\($0)" })
    }

    @Test("that ends too early is less urgent than a bad line before its end")
    func badLineBeforeTheEnd() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let lines = jsonLines(0..<10) + "{}\n" + jsonLines(10..<100)
        let whole = GzipFixture.stored(Array(lines.utf8), blockSize: 1000)
        let file = try corpus.folder.write(Array(whole.dropLast(100)), to: "a.jsonl.gz")
        let failure = try #require(importFailure { try CorpusImport(into: corpus.store).run([.file(file)]) })
        #expect(failure.reason == .missingText(location: .line(11, of: "a.jsonl.gz")))
        #expect(failure.summary.documents == 10)
        #expect(try corpus.store.statistics().documents == 10)
    }
}
