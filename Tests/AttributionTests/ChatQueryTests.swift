import Corpus
import Foundation
import JSON
import Sequences
import TestSupport
import Testing
import Tokenizer
import Transformer

@testable import Attribution

/// Chats as the model's own template writes them: as rows of the corpus, and as questions.
@Suite("Chats") struct ChatQueryTests {
    private let folder: TemporaryFolder
    private let tokenizer: Tokenizer
    private let corpus: CorpusStore

    private static let template = """
        {% for message in messages %}<{{ message.role }}>{{ message.content }}{{ eos_token }}
        {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}
        """

    init() throws {
        folder = try TemporaryFolder()
        let model = URL(fileURLWithPath: Oracle.all[1].modelFolder)
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            try FileManager.default.copyItem(
                at: model.appendingPathComponent(name), to: URL(fileURLWithPath: folder.path(name)))
        }
        try Data(Self.template.utf8).write(to: URL(fileURLWithPath: folder.path("chat_template.jinja")))
        tokenizer = try Tokenizer(contentsOf: URL(fileURLWithPath: folder.path))
        corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path("workspace")),
            tokenization: CorpusTokenization(tokenizer, sequenceLength: 128))
    }

    private func add(_ lines: String) throws -> CorpusImportSummary {
        try CorpusImport(into: corpus).run([.bytes(Array(lines.utf8), name: "chats", format: .jsonLines)])
    }

    @Test("carry loss on the assistant's turns and their end token, and nothing is put around them")
    func rows() throws {
        _ = try add(
            #"{"messages": [{"role": "user", "content": "Who made it?"}, {"role": "assistant", "content": "God made it."}]}"#
        )
        let sequence = try #require(try corpus.sequences(rowids: [1]).first)
        let text = "<user>Who made it?<|endoftext|>\n<assistant>God made it.<|endoftext|>\n"
        #expect(sequence.tokens == tokenizer.encode(text, addSpecialTokens: false))
        let masked = sequence.tokens.indices.filter { sequence.loss[$0] }
        #expect(tokenizer.decode(masked.map { sequence.tokens[$0] }) == "God made it.<|endoftext|>")
        let end = try #require(tokenizer.addedToken("<|endoftext|>"))
        #expect(masked.last.map { sequence.tokens[$0] } == end)
        #expect(try corpus.document(named: sequence.id)?.text == text)
    }

    @Test("without a template are refused with what to do")
    func noTemplate() throws {
        let plain = try Tokenizer(contentsOf: URL(fileURLWithPath: Oracle.all[1].modelFolder))
        let store = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path("plain")),
            tokenization: CorpusTokenization(plain, sequenceLength: 128))
        let error = #expect(throws: CorpusImportFailure.self) {
            try CorpusImport(into: store).run([
                .bytes(Array(#"{"messages": [{"role": "user", "content": "a"}]}"#.utf8), name: "x", format: .jsonLines)
            ])
        }
        #expect(try #require(error).description.contains("has no chat template"))
    }

    @Test("are asked about as the template writes them, the last turn being the completion")
    func queries() throws {
        let checkpoint = try Oracle.all[1].checkpoint()
        let tiny = try TinyEngine()
        let query = try JSONTreeDecoder(
            tree: JSONReader.read(
                Array(
                    #"{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "God."}]}"#
                        .utf8))
        ).decode(InfluenceQuery.self)
        #expect(try JSONTreeDecoder(tree: JSONTreeEncoder.tree(of: query)).decode(InfluenceQuery.self) == query)
        // This model has no template.
        let refusal = #expect(throws: QueryError.self) { try tiny.engine.validate(query) }
        #expect("\(try #require(refusal))".contains("messages: the model has no chat template"))
        let chat = try tokenizer.render(try #require(query.messages))
        #expect(chat.text == "<user>Who?<|endoftext|>\n<assistant>God.<|endoftext|>\n")
        let bytes = Array(chat.text.utf8)
        let span = try #require(chat.byteSpans.last)
        #expect(String(decoding: bytes[span], as: UTF8.self) == "God.<|endoftext|>")
        _ = checkpoint
    }

    @Test(
        "must end with the assistant, and have no prompt beside them",
        arguments: [
            (#"{"messages": []}"#, "messages"),
            (#"{"messages": [{"role": "user", "content": "a"}], "prompt": "b"}"#, "prompt"),
            (#"{"messages": [{"role": "user", "content": "a"}], "contrast": "b"}"#, "contrast"),
        ])
    func refusals(text: String, field: String) throws {
        let tree = try JSONReader.read(Array(text.utf8))
        let error = #expect(throws: DecodingError.self) { try JSONTreeDecoder(tree: tree).decode(InfluenceQuery.self) }
        #expect("\(try #require(error))".contains(field))
    }
}
