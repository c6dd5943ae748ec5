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

    private static func message(_ role: String, _ content: String) -> JSONTree {
        ["role": .string(role), "content": .string(content)]
    }

    private static let chat = [
        message("system", "Be brief."), message("user", "In the beginning"), message("assistant", " God created"),
        message("user", "the heaven"), message("assistant", " and the earth."),
    ]

    private func query(_ part: BehaviourPart) -> InfluenceQuery {
        InfluenceQuery(
            behaviour: [part], topK: 100, direction: .both, candidates: CandidateSelection(prefilter: .all),
            rank: .full,
            rescore: 0)
    }

    private func scores(_ query: InfluenceQuery, _ tiny: TinyEngine) throws -> [String: Double] {
        Dictionary(uniqueKeysWithValues: try tiny.answer(query).sequences.map { ($0.id, $0.score) })
    }

    @Test("are parts of a behaviour, each what the template writes, with another last turn as contrast")
    func parts() throws {
        let tiny = try TinyEngine(chatTemplate: Self.template)
        var single = query(BehaviourPart(prompt: "", completion: ""))
        (single.behaviour, single.messages, single.contrast) = (nil, Self.chat, " and Moses.")
        let answer = try tiny.answer(single)
        let (prompt, completion) = (answer.query.prompt, answer.query.completion)
        #expect(prompt.hasSuffix("<user>the heaven<|endoftext|>\n<assistant>"))
        #expect(completion == " and the earth.<|endoftext|>")
        #expect(answer.query.contrast?.completion == " and Moses.<|endoftext|>")
        #expect(answer.query.tokens.map(\.id) == tokenizer.encode(prompt + completion, addSpecialTokens: false))
        let own = Dictionary(uniqueKeysWithValues: answer.sequences.map { ($0.id, $0.score) })
        let largest = own.values.reduce(0) { max($0, abs($1)) }

        let part = BehaviourPart(messages: Self.chat, contrast: " and Moses.", weight: 2)
        let behaviour = try scores(query(part), tiny)
        #expect(Set(behaviour.keys) == Set(own.keys))
        #expect(own.allSatisfy { abs(behaviour[$0.key, default: .nan] - $0.value) < 1e-5 * largest })
        let understood = try #require(try tiny.answer(query(part)).query.parts?.first)
        #expect((understood.prompt, understood.completion, understood.weight) == (prompt, completion, 2))
        #expect(understood.contrast == " and Moses.<|endoftext|>")
        // Without the contrast the scores are others.
        let plain = try scores(query(BehaviourPart(messages: Self.chat)), tiny)
        #expect(plain.contains { abs($0.value - own[$0.key, default: .nan]) > 0.01 * largest })
    }

    @Test("that cannot be asked about are refused by their part")
    func unusableParts() throws {
        let tiny = try TinyEngine(texts: 4, chatTemplate: Self.template)
        let good = BehaviourPart(messages: Self.chat)
        for (part, field) in [
            (BehaviourPart(messages: Array(Self.chat.dropLast())), "measurement[1].messages"),
            (BehaviourPart(messages: Self.chat, contrast: " and the earth."), "measurement[1].contrast"),
            (
                BehaviourPart(messages: [["role": "user", "content": ["type": "image"]], Self.chat[4]]),
                "measurement[1].messages"
            ),
        ] {
            let error = #expect(throws: QueryError.self) {
                try tiny.engine.validate(InfluenceQuery(behaviour: [good, part]))
            }
            guard case .unusable(field, _)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        // A template that writes earlier turns by what the last one says.
        let fickle = try TinyEngine(
            texts: 4, chatTemplate: "{{ messages[-1].content|length }}" + Self.template)
        let error = #expect(throws: QueryError.self) {
            try fickle.engine.validate(InfluenceQuery(behaviour: [BehaviourPart(messages: Self.chat, contrast: " no")]))
        }
        #expect("\(try #require(error))".contains("measurement[0].contrast"))
    }

    @Test("longer than the context are refused with what to do, or lose their first turns if that is asked")
    func long() throws {
        let tiny = try TinyEngine(texts: 4, chatTemplate: Self.template)
        let turn = [
            Self.message("user", String(repeating: "And God said ", count: 10)),
            Self.message("assistant", " Let there be light."),
        ]
        var messages = [Self.chat[0]]
        for _ in 0..<30 { messages += turn }
        messages += Self.chat[3...]
        var query = InfluenceQuery(prompt: "", completion: "")
        query.messages = messages
        let error = #expect(throws: QueryError.self) { try tiny.engine.validate(query) }
        #expect("\(try #require(error))".contains("messages: prompt"))
        #expect("\(try #require(error))".contains("drop_turns leaves out"))

        query.dropTurns = true
        let understood = try tiny.answer(query).query
        let dropped = try #require(understood.droppedMessages)
        #expect(dropped % 2 == 0 && dropped > 0 && dropped <= 60)
        let context = tiny.engine.decoder.description.contextLength
        #expect(understood.tokens.count <= context)
        #expect(understood.prompt == tiny.prompt(of: [messages[0]] + messages[(1 + dropped)...]))
        let longer = try #require(tiny.prompt(of: [messages[0]] + messages[(dropped - 1)...]))
        #expect(tokenizer.encode(longer, addSpecialTokens: false).count > context - 8)
        let part = BehaviourPart(messages: messages)
        var behaviour = InfluenceQuery(behaviour: [part, BehaviourPart(prompt: "In the", completion: " beginning")])
        behaviour.dropTurns = true
        #expect(try tiny.answer(behaviour).query.parts?.map(\.droppedMessages) == [dropped, nil])

        query.messages = [Self.message("user", String(repeating: "And God said ", count: 400)), Self.chat[4]]
        let alone = #expect(throws: QueryError.self) { try tiny.engine.validate(query) }
        #expect("\(try #require(alone))".contains("the last turn alone is too long as well"))
    }

    @Test("longer than a sequence are imported cut, or without their first turns if that is asked")
    func longRows() throws {
        let turn =
            #"{"role": "user", "content": "And God said"}, {"role": "assistant", "content": "Let there be light."}"#
        let line =
            #"{"messages": [{"role": "system", "content": "Be brief."}, \#(Array(repeating: turn, count: 20).joined(separator: ", "))]}"#
        let input = CorpusInput.bytes(Array(line.utf8), name: "chats", format: .jsonLines)
        var rows = RowFields()
        let cut = try CorpusImport(into: corpus, rows: rows).run([input])
        rows.dropsTurns = true
        let shortened = try CorpusImport(into: corpus, rows: rows).run([input])
        #expect((cut.cut, cut.cutChats, shortened.cut, shortened.shortened) == (1, 1, 0, 1))
        let sequence = try corpus.sequences(rowids: [2])[0]
        #expect(sequence.tokens.count <= 128)
        let text = tokenizer.decode(sequence.tokens)
        #expect(text.hasPrefix("<system>Be brief.<|endoftext|>\n<user>And God said<|endoftext|>\n<assistant>Let"))
        #expect(text.hasSuffix("Let there be light.<|endoftext|>\n"))
        let masked = sequence.tokens.indices.filter { sequence.loss[$0] }.map { sequence.tokens[$0] }
        #expect(tokenizer.decode(masked).hasPrefix("Let there be light.<|endoftext|>Let"))
    }

    @Test(
        "must end with the assistant, and have no prompt beside them",
        arguments: [
            (#"{"messages": []}"#, "messages"),
            (#"{"messages": [{"role": "user", "content": "a"}], "prompt": "b"}"#, "prompt"),
            (#"{"prompt": "a", "completion": "b", "drop_turns": true}"#, "drop_turns"),
        ])
    func refusals(text: String, field: String) throws {
        let tree = try JSONReader.read(Array(text.utf8))
        let error = #expect(throws: DecodingError.self) { try JSONTreeDecoder(tree: tree).decode(InfluenceQuery.self) }
        #expect("\(try #require(error))".contains(field))
    }
}

extension TinyEngine {
    /// What the template writes of a chat before its last turn.
    fileprivate func prompt(of messages: [JSONTree]) -> String? {
        guard let chat = try? engine.tokenizer.render(messages), let span = chat.byteSpans.last else { return nil }
        return String(decoding: Array(chat.text.utf8)[..<span.lowerBound], as: UTF8.self)
    }
}
