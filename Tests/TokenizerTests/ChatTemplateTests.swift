import Foundation
import JSON
import Testing

@testable import Tokenizer

@Suite("Chat templates")
struct ChatTemplateTests {
    private let fixture = ChatTemplateFixture.shared

    @Test("render chats as transformers does", arguments: ChatTemplateFixture.shared.cases)
    func rendering(entry: ChatTemplateFixture.Case) throws {
        let template = fixture.template(entry.template)
        let messages = try fixture.messages(entry.chat)
        guard let expected = entry.text else {
            let error = #expect(throws: ChatTemplateError.self) {
                try template.text(of: messages, fixture.options(of: entry))
            }
            if case .refused(_, _, let message)? = error { #expect(message == entry.error) }
            return
        }
        let found = try template.text(of: messages, fixture.options(of: entry))
        #expect(found.hasSameBytes(as: expected), "found \(found)")
    }

    @Test(
        "give the tokens and the assistant's mask of transformers where they have marks",
        arguments: ChatTemplateFixture.shared.cases.filter { !$0.tokens.isEmpty })
    func masks(entry: ChatTemplateFixture.Case) throws {
        let chat = try fixture.template(entry.template).render(
            try fixture.messages(entry.chat), fixture.options(of: entry))
        #expect(chat.source == .marks)
        for (kind, expected) in entry.tokens {
            let found = try TokenizerFixture(kind).tokenizer().encode(chat)
            #expect(found.tokens == expected.ids, "with \(kind)")
            #expect(found.isAssistant == expected.mask, "with \(kind)")
        }
    }

    private func spans(_ template: String, _ messages: [ChatMessage]) throws -> [String] {
        let chat = try fixture.template(template).render(messages)
        let scalars = Array(chat.text.unicodeScalars)
        let bytes = Array(chat.text.utf8)
        for (span, range) in zip(chat.spans, chat.byteSpans) {
            #expect(String(scalars: scalars[span.scalars]) == String(decoding: bytes[range], as: UTF8.self))
        }
        return chat.spans.map { String(scalars: scalars[$0.scalars]) }
    }

    @Test("tell the assistant's turns, with the token that ends them, from the difference of renderings")
    func prefixes() throws {
        #expect(try spans("chatml", try fixture.messages("answered")) == ["The river is long.<|im_end|>"])
        #expect(
            try spans("chatml", try fixture.messages("multi")) == [
                "The river is long.<|im_end|>", "\n Now so. <|im_end|>",
            ])
        #expect(try spans("chatml", try fixture.messages("same")) == ["the<|im_end|>", "the<|im_end|>"])
        #expect(try spans("chatml", try fixture.messages("empty")) == ["<|im_end|>"])
        #expect(try spans("chatml", try fixture.messages("unicode")) == ["e\u{301} é<|im_end|>"])
        #expect(try spans("chatml", try fixture.messages("single")) == [])
        #expect(try spans("brackets", try fixture.messages("multi")) == [" The river is long. </s>", " Now so. </s>"])
        #expect(
            try spans("marks", try fixture.messages("multi")) == [
                "The river is long.<|im_end|>", "\n Now so. <|im_end|>",
            ])
    }

    @Test("tell them by their content where a template renders earlier turns otherwise")
    func content() throws {
        #expect(
            try spans("reasoning", try fixture.messages("reasoning")) == ["One.<|end|>", "no</think>Two.<|return|>"])
        let chat = try fixture.template("reasoning").render(try fixture.messages("reasoning"))
        #expect(chat.source == .content)
        #expect(try spans("reasoning", try fixture.messages("same")) == ["the<|end|>", "</think>the<|return|>"])
        #expect(try spans("reasoning", try fixture.messages("empty")) == ["<|end|>"])
        #expect(try spans("tools", try fixture.messages("tools")).count == 2)
    }

    @Test("agree with marks wherever a template can be read both ways")
    func agreement() throws {
        let marked = fixture.source("marks")
        let plain = ChatTemplate(
            marked.replacingOccurrences(of: "{% generation %}", with: "").replacingOccurrences(
                of: "{% endgeneration %}\n", with: ""))
        for chat in ["answered", "system", "multi", "same", "empty", "unicode", "twice"] {
            let messages = try fixture.messages(chat)
            let found = try plain.render(messages)
            let expected = try fixture.template("marks").render(messages)
            #expect(found.text == expected.text)
            #expect(found.spans == expected.spans, "of \(chat)")
            #expect(found.source == .prefixes)
        }
    }

    @Test("refuse a turn that they do not write")
    func unclear() throws {
        let template = ChatTemplate("{{ messages|length }}{{ messages[-1].content }}", origin: "t")
        let messages = try fixture.messages("multi")
        let error = #expect(throws: ChatTemplateError.self) { try template.render(messages) }
        guard case .unclearSpan("t", 1, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("count empty turns, which are rendered all the same")
    func emptyTurns() throws {
        #expect(try fixture.template("chatml").render(try fixture.messages("empty")).emptyTurns == [1])
        #expect(try fixture.template("tools").render(try fixture.messages("tools")).emptyTurns == [])
        #expect(throws: ChatTemplateError.noMessages) { try fixture.template("chatml").render([]) }
    }

    // MARK: Messages

    private func message(_ json: String) throws -> ChatMessage {
        try ChatMessage(try JSONReader.read(Array(json.utf8)), position: 3)
    }

    @Test("take messages whose content is a list of texts, and refuse others by position")
    func messages() throws {
        #expect(
            try message(
                #"{"role": "user", "content": [{"type": "text", "text": "a"}, "b", {"text": "c"}], "name": "x", "z": null}"#
            )
                == ChatMessage(role: "user", content: "abc", fields: [.init(name: "name", value: "x")]))
        #expect(throws: ChatTemplateError.unsupportedPart(message: 3, part: 1, kind: "\"image_url\"")) {
            try message(
                #"{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "text": "b"}]}"#)
        }
        #expect(throws: ChatTemplateError.missingContent(message: 3, role: "user")) {
            try message(#"{"role": "user", "content": null}"#)
        }
        #expect(throws: ChatTemplateError.missingContent(message: 3, role: "assistant")) {
            try message(#"{"role": "assistant", "tool_calls": []}"#)
        }
        #expect(try message(#"{"role": "assistant", "content": null, "tool_calls": [{}]}"#).content == nil)
        for json in [#"{"content": "a"}"#, #"{"role": 1, "content": "a"}"#, #"{"role": "user", "content": 5}"#, "[]"] {
            let error = #expect(throws: ChatTemplateError.self) { try message(json) }
            guard case .invalidMessage(3, _, _, _)? = error else {
                Issue.record("\(json): \(String(describing: error))")
                continue
            }
        }
    }

    // MARK: Files

    private func tokenizer(_ files: [String: String]) throws -> Tokenizer {
        try withTokenizerFolder { folder in
            let source = TokenizerFixture("llama3").folder.appendingPathComponent("tokenizer.json")
            try FileManager.default.copyItem(at: source, to: folder.appendingPathComponent("tokenizer.json"))
            for (name, text) in files {
                let url = folder.appendingPathComponent(name)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: url)
            }
            return try Tokenizer(contentsOf: folder)
        }
    }

    private func text(_ tokenizer: Tokenizer, _ options: ChatTemplate.Options = ChatTemplate.Options()) throws
        -> String?
    {
        try tokenizer.chatTemplate?.text(of: [ChatMessage(role: "user", content: "Hi")], options)
    }

    @Test("are found beside the tokenizer, a file before the configuration")
    func files() throws {
        #expect(try tokenizer([:]).chatTemplate == nil)
        let configuration =
            #"{"chat_template": "{{ bos_token }}c{{ eos_token }}{{ pad_token }}", "bos_token": "<s>", "eos_token": {"content": "</s>"}}"#
        #expect(try text(try tokenizer(["tokenizer_config.json": configuration])) == "<s>c</s>")
        let map = #"{"bos_token": "other", "pad_token": {"content": "<pad>"}}"#
        #expect(
            try text(try tokenizer(["tokenizer_config.json": configuration, "special_tokens_map.json": map]))
                == "<s>c</s><pad>")
        #expect(
            try text(
                try tokenizer(["tokenizer_config.json": configuration, "chat_template.jinja": "f{{ bos_token }}"]))
                == "f<s>")
    }

    @Test("can be several with names, chosen as transformers chooses")
    func named() throws {
        let list =
            #"{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}, {"name": "rag", "template": "r"}]}"#
        let listed = try tokenizer(["tokenizer_config.json": list])
        let folder = try tokenizer([
            "chat_template.jinja": "d", "chat_templates/tool_use.jinja": "t", "chat_templates/rag.jinja": "r",
            "tokenizer_config.json": #"{"chat_template": "x"}"#,
        ])
        for tokenizer in [listed, folder] {
            #expect(Set(tokenizer.chatTemplate?.names ?? []) == ["default", "tool_use", "rag"])
            var options = ChatTemplate.Options()
            #expect(try text(tokenizer) == "d")
            options.tools = []
            #expect(try text(tokenizer, options) == "t")
            options.template = "rag"
            #expect(try text(tokenizer, options) == "r")
            options.template = "missing"
            #expect(throws: ChatTemplateError.self) { try text(tokenizer, options) }
        }
        let other = try tokenizer(["tokenizer_config.json": #"{"chat_template": [{"name": "rag", "template": "r"}]}"#])
        #expect(throws: ChatTemplateError.noDefault(template: "tokenizer_config.json: chat_template", names: ["rag"])) {
            try text(other)
        }
    }

    @Test("that cannot be used do not stop a tokenizer from loading, and say why when they are used")
    func broken() throws {
        let broken = try tokenizer(["chat_template.jinja": "a\n{% if %}"])
        #expect(broken.encode("the river").isEmpty == false)
        let error = #expect(throws: ChatTemplateError.self) { try text(broken) }
        guard case .syntax("chat_template.jinja", 2, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: ChatTemplateError.self) {
            try text(try tokenizer(["tokenizer_config.json": #"{"chat_template": 5}"#]))
        }
    }

    @Test("come from the keys of GGUF files, too")
    func gguf() throws {
        var metadata = try TokenizerFixture.scores().metadata
        #expect(try Tokenizer(metadata, file: "m.gguf").chatTemplate == nil)
        metadata.chatTemplates = [
            .init(name: "default", source: "{{ bos_token }}{{ eos_token }}"), .init(name: "tool_use", source: "t"),
        ]
        let tokenizer = try Tokenizer(metadata, file: "m.gguf")
        #expect(try text(tokenizer) == "<s></s>")
        #expect(tokenizer.chatTemplate?.names == ["default", "tool_use"])
    }
}
