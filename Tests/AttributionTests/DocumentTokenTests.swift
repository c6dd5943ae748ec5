import Corpus
import Foundation
import TestSupport
import Testing
import Tokenizer
import Transformer

@testable import Attribution

@Suite("The tokens of documents and of ad-hoc texts")
struct DocumentTokenTests {
    static let end = "<|endoftext|>"

    /// The oracle's tokenizer with another template.
    static func tokenizer(before: Bool, behind: Bool) throws -> Tokenizer {
        let folder = try TemporaryFolder()
        let file = URL(fileURLWithPath: Oracle.all[1].modelFolder).appendingPathComponent("tokenizer.json")
        var fields = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any] ?? [:]
        let special: [[String: Any]] = [["SpecialToken": ["id": end]]]
        let token = Int(try #require(try Tokenizer(contentsOf: file).addedToken(end)))
        fields["post_processor"] = [
            "type": "TemplateProcessing",
            "single": (before ? special : []) + [["Sequence": ["id": "A"]]] + (behind ? special : []),
            "special_tokens": [end: ["id": end, "ids": [token], "tokens": [end]]],
        ]
        let changed = folder.path("tokenizer.json")
        try JSONSerialization.data(withJSONObject: fields).write(to: URL(fileURLWithPath: changed))
        return try Tokenizer(contentsOf: URL(fileURLWithPath: changed))
    }

    @Test(
        "have what the tokenizer's files put around a text, once, for both alike", arguments: [false, true],
        [false, true])
    func once(before: Bool, behind: Bool) throws {
        let tokenizer = try Self.tokenizer(before: before, behind: behind)
        let folder = try TemporaryFolder()
        let corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path), tokenization: CorpusTokenization(tokenizer, sequenceLength: 40))
        let texts = [
            "the mill", "\(Self.end)the river", "the stone\(Self.end)", "\(Self.end)a\(Self.end)", "a\(Self.end)b",
        ]
        let lines = try (texts + (before ? [Self.end] : [])).map {
            String(decoding: try JSONSerialization.data(withJSONObject: ["text": $0]), as: UTF8.self)
        }
        let summary = try CorpusImport(into: corpus).run([
            .bytes(Array(lines.joined(separator: "\n").utf8), name: "texts", format: .jsonLines)
        ])
        let kept = try corpus.sequences(rowids: corpus.rowids()).map(\.tokens)
        #expect(kept == texts.map { tokenizer.encode($0) })
        #expect(kept == (try AdHocTexts.tokenize(texts, for: corpus.tokenization)))
        #expect(summary.empty == (before ? 1 : 0))
        let marks = kept.map { tokens in tokens.count { $0 == tokenizer.addedToken(Self.end) } }
        #expect(marks[0] == (before ? 1 : 0) + (behind ? 1 : 0))
        #expect(marks[1] == 1 + (behind ? 1 : 0) && marks[2] == 1 + (before ? 1 : 0) && marks[3] == 2)
    }

    @Test("of a document in pieces start each with BOS, and the last one alone ends with EOS")
    func pieces() throws {
        let tokenizer = try Self.tokenizer(before: true, behind: true)
        let folder = try TemporaryFolder()
        let corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path), tokenization: CorpusTokenization(tokenizer, sequenceLength: 6))
        let text = "the mill stands by the river, and the river had no name on the old maps"
        try CorpusImport(into: corpus).run([.bytes(Array(text.utf8), name: "text", format: .plainText)])
        let pieces = try corpus.sequences(rowids: corpus.rowids()).map(\.tokens)
        let end = try #require(tokenizer.addedToken(Self.end))
        #expect(pieces.count > 2)
        #expect(pieces.allSatisfy { $0.first == end && $0.count <= 6 })
        #expect([end] + pieces.flatMap { $0.dropFirst() } == tokenizer.encode(text))
        #expect(pieces.dropLast().allSatisfy { $0.last != end } && pieces.last?.last == end)
    }

    @Test("of a corpus that was made by another rule are refused, with what to do")
    func otherRule() throws {
        let folder = try TemporaryFolder()
        let url = URL(fileURLWithPath: folder.path)
        let tokenizer = try Self.tokenizer(before: true, behind: false)
        try CorpusStore(
            folder: url,
            tokenization: CorpusTokenization(
                tokenizerDigest: "that of an earlier version", sequenceLength: 40, prefix: tokenizer.prefixTokens
            ) { tokenizer.encode($0, addSpecialTokens: false) }
        ).close()
        let error = #expect(throws: CorpusError.self) {
            try CorpusStore(folder: url, tokenization: CorpusTokenization(tokenizer, sequenceLength: 40))
        }
        #expect(error?.description.contains("import the documents again") == true)
    }
}
