import Foundation
import Testing

@testable import Corpus

@Suite("A corpus store")
struct CorpusStoreTests {
    private func open(_ folder: TemporaryFolder, digest: String = "a", length: Int = 8, prefix: [Int32] = []) throws
        -> CorpusStore
    {
        try CorpusStore(
            folder: folder.url,
            tokenization: CorpusTokenization(
                tokenizerDigest: digest, sequenceLength: length, prefix: prefix, encode: ToyTokenizer.bytes))
    }

    @Test("creates its folder, and is the same corpus when it is opened again")
    func reopening() throws {
        let folder = try TemporaryFolder()
        let inner = folder.url.appendingPathComponent("a/b")
        let tokenization = CorpusTokenization(tokenizerDigest: "a", sequenceLength: 8, encode: ToyTokenizer.bytes)
        var store = try CorpusStore(folder: inner, tokenization: tokenization)
        try CorpusImport(into: store).run([.bytes(Array(jsonLine(text: "abcdefghij").utf8), name: "x")])
        let digest = try store.digest()
        let sequences = try store.sequences(rowids: [1, 2])
        try store.close()

        store = try CorpusStore(folder: inner, tokenization: tokenization)
        #expect(try store.digest() == digest)
        #expect(try store.sequences(rowids: [1, 2]) == sequences)
        #expect(try store.termIndex.search(queryTokens: [Int32(UInt8(ascii: "j"))], limit: 5).map(\.rowid) == [2])
    }

    @Test("refuses another tokenizer, sequence length or prefix, and says which")
    func otherTokenization() throws {
        let folder = try TemporaryFolder()
        let file = try open(folder, digest: "a", length: 8, prefix: [1]).file
        #expect(throws: CorpusError.wrongTokenizer(file: file, recorded: "a", given: "b")) {
            try open(folder, digest: "b", length: 8, prefix: [1])
        }
        #expect(throws: CorpusError.wrongSequenceLength(file: file, recorded: 8, given: 9)) {
            try open(folder, digest: "a", length: 9, prefix: [1])
        }
        #expect(throws: CorpusError.wrongPrefix(file: file, recorded: [1], given: [])) {
            try open(folder, digest: "a", length: 8)
        }
        let message = CorpusError.wrongTokenizer(file: file, recorded: "a", given: "b").description
        #expect(message.contains("tokenised by another tokenizer") && message.contains("another workspace"))
    }

    @Test("refuses a sequence length with no room for text")
    func impossibleLength() throws {
        let folder = try TemporaryFolder()
        #expect(throws: CorpusError.sequenceLengthTooSmall(sequenceLength: 2, prefixLength: 2)) {
            try open(folder, length: 2, prefix: [1, 2])
        }
        #expect(throws: CorpusError.sequenceLengthTooSmall(sequenceLength: 0, prefixLength: 0)) {
            try open(folder, length: 0)
        }
    }

    @Test("refuses files that are not a corpus, and leaves them as they are")
    func otherFiles() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("this is no database, whatever its name says", to: CorpusStore.fileName)
        #expect(throws: CorpusError.notACorpus(file: file)) { try open(folder) }
        #expect(try String(contentsOfFile: file, encoding: .utf8).hasPrefix("this is no database"))

        let other = try TemporaryFolder()
        let store = try open(other)
        try store.database.write { db in try db.execute(sql: "PRAGMA application_id = 7") }
        try store.close()
        #expect(throws: CorpusError.notACorpus(file: store.file)) { try open(other) }
        #expect(throws: CorpusError.notACorpus(file: store.file)) { try CorpusStore.inspect(folder: other.url) }
    }

    @Test("refuses a corpus of a later version")
    func laterVersion() throws {
        let folder = try TemporaryFolder()
        let store = try open(folder)
        try store.database.write { db in try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('999')") }
        try store.close()
        #expect(throws: CorpusError.newerFormat(file: store.file)) { try open(folder) }
    }

    @Test("refuses a folder that cannot be")
    func folderIsFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("", to: "file")
        let error = #expect(throws: CorpusError.self) {
            try CorpusStore(
                folder: URL(fileURLWithPath: path),
                tokenization: CorpusTokenization(tokenizerDigest: "a", sequenceLength: 8, encode: ToyTokenizer.bytes))
        }
        guard case .storage(path, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("can be inspected without its tokenizer")
    func inspection() throws {
        let folder = try TemporaryFolder()
        #expect(throws: CorpusError.missing(file: folder.url.appendingPathComponent("corpus.sqlite").path)) {
            try CorpusStore.inspect(folder: folder.url)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)

        let store = try open(folder, digest: "d", length: 5, prefix: [1, -2])
        try CorpusImport(into: store).run([.bytes(Array("abcd".utf8), name: "x")])
        let (tokenization, statistics) = try CorpusStore.inspect(folder: folder.url)
        #expect(
            tokenization == CorpusTokenizationIdentity(tokenizerDigest: "d", sequenceLength: 5, prefix: [1, -2]))
        #expect(statistics == (try store.statistics()))
        #expect(statistics.sequences == 2)
    }

    @Test("can be inspected where it can only be read, while another process has it open and after")
    func readOnlyInspection() throws {
        // A name that a URI would take for a query and a fragment.
        let outer = try TemporaryFolder()
        let folder = outer.url.appendingPathComponent("a b?c#d%20é")
        let store = try CorpusStore(
            folder: folder,
            tokenization: CorpusTokenization(
                tokenizerDigest: "d", sequenceLength: 5, prefix: [], encode: ToyTokenizer.bytes))
        try CorpusImport(into: store).run([.bytes(Array("abcd".utf8), name: "x")])
        let expected = try store.statistics()
        #expect(expected.documents == 1)
        #expect(try CorpusStore.inspect(folder: folder, isWritable: false).statistics == expected)
        try store.close()
        // The last to write moves the log into the database.
        #expect(try CorpusStore.inspect(folder: folder).statistics == expected)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names == [CorpusStore.fileName])
        #expect(try CorpusStore.inspect(folder: folder, isWritable: false).statistics == expected)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == names, "nothing was written")
    }

    @Test("has a digest of its texts and its tokenization, but not of their order, names and copies")
    func digests() throws {
        let folder = try TemporaryFolder()
        var number = 0
        func digest(_ inputs: [String], tokenizer: String = "a", length: Int = 8) throws -> String {
            number += 1
            let store = try CorpusStore(
                folder: folder.url.appendingPathComponent("\(number)"),
                tokenization: CorpusTokenization(
                    tokenizerDigest: tokenizer, sequenceLength: length, encode: ToyTokenizer.bytes))
            for input in inputs {
                try CorpusImport(into: store).run([.bytes(Array(input.utf8), name: "x")])
            }
            return try store.digest()
        }
        let (a, b) = (jsonLine(id: "a", text: "first"), jsonLine(id: "b", text: "second"))
        let reference = try digest([a + b])
        #expect(reference.count == 64)
        #expect(try digest([b, a]) == reference)
        #expect(try digest([a, a + b, b]) == reference)
        #expect(try digest([jsonLine(text: "second", more: ", \"source\": \"s\""), a]) == reference)
        #expect(try digest([a]) != reference)
        #expect(try digest([a, jsonLine(text: "third")]) != reference)
        #expect(try digest([a + b], tokenizer: "b") != reference)
        #expect(try digest([a + b], length: 9) != reference)
    }

    @Test("is read by many threads while one writes, each seeing whole transactions")
    func concurrentReads() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let failures = concurrentMap([0, 1, 2, 3]) { reader -> String? in
            do {
                if reader == 0 {
                    var importer = CorpusImport(into: corpus.store)
                    importer.batchLimit = (records: 10, bytes: 1 << 20)
                    try importer.run([.bytes(Array(jsonLines(0..<600).utf8), name: "x")])
                    return nil
                }
                for _ in 0..<100 {
                    let count = try corpus.store.statistics().sequences
                    let sequences = try corpus.store.sequences(rowids: Array(1..<(Int64(count) + 1)))
                    guard sequences.map(\.documentID) == (0..<count).map({ "doc-\($0)" }) else { return "documents" }
                    guard try corpus.store.termIndex.search(queryTokens: [0], limit: 10_000).count >= (count + 16) / 17
                    else { return "postings" }
                }
                return nil
            } catch {
                return "\(error)"
            }
        }
        #expect(failures == [nil, nil, nil, nil])
        #expect(try corpus.store.statistics().documents == 600)
    }

    @Test("takes the documents of two writers that know nothing of each other")
    func twoWriters() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let other = try CorpusStore(folder: corpus.folder.url, tokenization: corpus.store.tokenization)
        let failures = concurrentMap([0, 1]) { writer -> String? in
            var importer = CorpusImport(into: writer == 0 ? corpus.store : other)
            importer.batchLimit = (records: 7, bytes: 1 << 20)
            let lines = writer == 0 ? jsonLines(0..<300) : jsonLines(150..<450)
            do {
                try importer.run([.bytes(Array(lines.utf8), name: "x")])
                return nil
            } catch {
                return "\(error)"
            }
        }
        #expect(failures == [nil, nil])
        #expect(try corpus.store.statistics().documents == 450)
        #expect(try corpus.contents().map(\.documentID).sorted() == (0..<450).map { "doc-\($0)" }.sorted())
        let first = try corpus.store.sequences(named: "doc-449").map(\.rowid)
        #expect(try corpus.store.termIndex.search(queryTokens: [449], limit: 5).map(\.rowid) == first)
    }
}
