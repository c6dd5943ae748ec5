import Files
import Foundation
import TestScratch

@testable import Corpus

typealias TemporaryFolder = TestScratch.TemporaryFolder

/// Tokenizers that need no files.
enum ToyTokenizer {
    /// One token a byte of UTF-8.
    static let bytes: @Sendable (String) throws -> [Int32] = { text in text.utf8.map(Int32.init) }

    /// One token a word of the form `w7`: its number.
    static let numberedWords: @Sendable (String) throws -> [Int32] = { text in
        text.split(separator: " ").compactMap { Int32($0.dropFirst()) }
    }
}

/// A corpus in a folder of its own.
final class TestCorpus: Sendable {
    let folder: TemporaryFolder
    let store: CorpusStore

    init(
        sequenceLength: Int = 1000, prefix: [Int32] = [], digest: String = "bytes",
        rows: RowTokenization? = nil,
        encode: @escaping @Sendable (String) throws -> [Int32] = ToyTokenizer.bytes
    ) throws {
        folder = try TemporaryFolder()
        var tokenization = CorpusTokenization(
            tokenizerDigest: digest, sequenceLength: sequenceLength, prefix: prefix, encode: encode)
        tokenization.rows = rows
        store = try CorpusStore(folder: folder.url, tokenization: tokenization)
    }

    /// Imports JSON lines, or other text, as an input named `test.jsonl`.
    @discardableResult
    func add(
        _ text: String, name: String = "test.jsonl", format: CorpusInput.Format? = nil,
        badRecords: CorpusImport.BadRecords = .stop
    ) throws -> CorpusImportSummary {
        try CorpusImport(into: store, badRecords: badRecords)
            .run([.bytes(Array(text.utf8), name: name, format: format)])
    }

    /// All that the corpus has, for comparisons.
    func contents() throws -> [CorpusSequence] {
        try store.sequences(rowids: store.rowids())
    }
}

/// A line of JSON with an id and a text.
func jsonLine(id: String? = nil, text: String, more: String = "") -> String {
    "{" + (id.map { "\"id\": \"\($0)\", " } ?? "") + "\"text\": \"\(text)\"\(more)}\n"
}

/// Many JSON lines with different texts.
func jsonLines(_ numbers: Range<Int>) -> String {
    numbers.map { jsonLine(id: "doc-\($0)", text: "w\($0 % 17) w\($0 % 5) w\($0)") }.joined()
}

/// What an operation throws, if it is an import failure.
func importFailure(_ body: () throws -> Void) -> CorpusImportFailure? {
    do {
        try body()
        return nil
    } catch {
        return error as? CorpusImportFailure
    }
}

extension CorpusInputLocation {
    static func line(_ line: Int, of file: String = "test.jsonl") -> CorpusInputLocation {
        CorpusInputLocation(file: file, line: line)
    }
}

/// Data in gzip format.
enum GzipFixture {
    /// One member with the bytes as they are, in blocks that can be decompressed one by one.
    static func stored(_ bytes: [UInt8], blockSize: Int = 65_535) throws -> [UInt8] {
        guard var gzip = GzipWriter(level: 0) else { throw GzipError.noMemory }
        var member: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: blockSize) {
            member += gzip.write(Array(bytes[start...].prefix(blockSize)), flush: .chunk)
        }
        return member + gzip.write([], flush: .end)
    }
}
