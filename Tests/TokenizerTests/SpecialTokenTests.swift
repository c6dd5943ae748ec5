import Foundation
import Testing

@testable import Tokenizer

/// What Hugging Face transformers puts around texts (`special_tokens.py` in `scripts/fixtures`).
struct SpecialTokenFixture: Decodable, CustomTestStringConvertible {
    struct Case: Decodable {
        /// "B-" where tokenizer.json puts BOS before a text, "-E" for EOS behind it, and so on.
        let template: String
        let settings: [String: Bool]
        /// What versions 4 and 5 put there, written alike.
        let versions: [String: String]

        var four: String? { versions["4"] }
        var five: String? { versions["5"] }
    }

    struct Spelled: Decodable {
        let template: String
        let texts: [String]
        let ids: [[Int32]]
    }

    let tokenizerClass: String?
    let fixture: String
    let bos: String
    let eos: String
    let cases: [Case]
    let spelled: [Spelled]

    enum CodingKeys: String, CodingKey {
        case fixture, bos, eos, cases, spelled
        case tokenizerClass = "class"
    }

    var testDescription: String { tokenizerClass ?? "none" }

    static let all: [SpecialTokenFixture] = {
        let file = TokenizerFixture("special-tokens.json").folder
        do {
            return try JSONDecoder().decode([SpecialTokenFixture].self, from: Data(contentsOf: file))
        } catch {
            Issue.record("\(file.path): \(error)")
            return []
        }
    }()

    func tokenizer(_ template: String, settings: [String: Bool] = [:]) throws -> Tokenizer {
        var configuration: [String: Any] = settings
        configuration["bos_token"] = bos
        configuration["eos_token"] = eos
        configuration["tokenizer_class"] = tokenizerClass
        return try Self.tokenizer(fixture, bos: bos, eos: eos, template: template, configuration: configuration)
    }

    static func tokenizer(
        _ fixture: String, bos: String, eos: String, template: String, configuration: [String: Any]
    ) throws -> Tokenizer {
        let known = try TokenizerFixture(fixture).tokenizer()
        let ids = [bos, eos].reduce(into: [:]) { ids, name in
            ids[name] = ["id": name, "ids": [Int(known.addedToken(name) ?? -1)], "tokens": [name]]
        }
        func special(_ name: String) -> [String: Any] { ["SpecialToken": ["id": name, "type_id": 0]] }
        let single =
            (template.hasPrefix("B") ? [special(bos)] : []) + [["Sequence": ["id": "A", "type_id": 0]]]
            + (template.hasSuffix("E") ? [special(eos)] : [])
        let processor = try JSONSerialization.data(
            withJSONObject: ["type": "TemplateProcessing", "single": single, "special_tokens": ids])
        // As text: among a dictionary's keys, tokens that differ in normalization alone would be one.
        var text = try String(
            contentsOf: TokenizerFixture(fixture).folder.appendingPathComponent("tokenizer.json"), encoding: .utf8)
        let start = try #require(text.range(of: #""post_processor":"#, options: .literal)).upperBound
        let end = try #require(text.range(of: #","decoder":"#, options: .literal)).lowerBound
        text.replaceSubrange(start..<end, with: String(decoding: processor, as: UTF8.self))
        return try withTokenizerFolder { folder in
            try Data(text.utf8).write(to: folder.appendingPathComponent("tokenizer.json"))
            try JSONSerialization.data(withJSONObject: configuration)
                .write(to: folder.appendingPathComponent("tokenizer_config.json"))
            return try Tokenizer(contentsOf: folder)
        }
    }
}

@Suite("Special tokens around a text")
struct SpecialTokenTests {
    @Test(
        "are those that Hugging Face transformers puts there, or its versions disagree and the files are refused",
        arguments: SpecialTokenFixture.all)
    func classes(fixture: SpecialTokenFixture) throws {
        #expect(fixture.cases.count == 32)
        for entry in fixture.cases {
            do {
                let tokenizer = try fixture.tokenizer(entry.template, settings: entry.settings)
                let found =
                    (tokenizer.prefixTokens == [tokenizer.bosToken] ? "B" : "-")
                    + (tokenizer.suffixTokens == [tokenizer.eosToken] ? "E" : "-")
                #expect(found == entry.template, "of \(entry)")
                #expect(found == entry.five || found == entry.four, "of \(entry)")
                let own = tokenizer.encode("the river", addSpecialTokens: false)
                #expect(tokenizer.encode("the river") == tokenizer.prefixTokens + own + tokenizer.suffixTokens)
            } catch TokenizerError.contradictoryTemplate {
                #expect(entry.four != entry.five || entry.five != entry.template, "of \(entry)")
            }
        }
    }

    @Test("are refused, by the field, where tokenizer_config.json contradicts the template")
    func contradiction() throws {
        func error(_ tokenizerClass: String?, _ template: String, _ settings: [String: Bool]) -> TokenizerError? {
            #expect(throws: TokenizerError.self) {
                var configuration: [String: Any] = settings
                configuration["bos_token"] = "<s>"
                configuration["eos_token"] = "</s>"
                configuration["tokenizer_class"] = tokenizerClass
                _ = try SpecialTokenFixture.tokenizer(
                    "llama3", bos: "<s>", eos: "</s>", template: template, configuration: configuration)
            }
        }
        #expect(
            error("LlamaTokenizerFast", "B-", ["add_bos_token": false])?.description
                == "tokenizer_config.json: add_bos_token is false for the tokenizer_class LlamaTokenizer, but post_processor "
                + "in tokenizer.json puts the tokens [800] before a text. Versions of Hugging Face transformers differ in "
                + "which they follow. Change both files to what the model was trained with.")
        #expect(
            error("GemmaTokenizer", "B-", ["add_eos_token": true])
                == .contradictoryTemplate(
                    file: "tokenizer.json", field: "add_eos_token", value: true, tokenizerClass: "GemmaTokenizer",
                    puts: "nothing behind a text"))
        #expect(
            error(nil, "--", ["add_bos_token": true])
                == .contradictoryTemplate(
                    file: "tokenizer.json", field: "add_bos_token", value: true, tokenizerClass: nil,
                    puts: "nothing before a text"))
        #expect(
            error("GPTNeoXTokenizer", "-E", [:])
                == .contradictoryTemplate(
                    file: "tokenizer.json", field: "add_eos_token", value: false, tokenizerClass: "GPTNeoXTokenizer",
                    puts: "the tokens [801] behind a text"))
    }

    @Test(
        "are not put there again where the text spells them out; all else has the ids of Hugging Face transformers",
        arguments: SpecialTokenFixture.all.filter { !$0.spelled.isEmpty })
    func spelled(fixture: SpecialTokenFixture) throws {
        for entry in fixture.spelled {
            let tokenizer = try fixture.tokenizer(entry.template)
            let (prefix, suffix) = (tokenizer.prefixTokens, tokenizer.suffixTokens)
            #expect(prefix.count == (entry.template.hasPrefix("B") ? 1 : 0))
            #expect(suffix.count == (entry.template.hasSuffix("E") ? 1 : 0))
            for (text, ids) in zip(entry.texts, entry.ids) {
                var own = ids.dropFirst(prefix.count).dropLast(suffix.count)
                if own.starts(with: prefix) { own = own.dropFirst(prefix.count) }
                if own.suffix(suffix.count).elementsEqual(suffix) { own = own.dropLast(suffix.count) }
                #expect(tokenizer.encode(text) == prefix + own + suffix, "of \(text) with \(entry.template)")
            }
        }
    }

    @Test("are the same for a document and for a text, and a document without tokens of its own has none")
    func documents() throws {
        for template in ["--", "B-", "-E", "BE"] {
            let tokenizer = try SpecialTokenFixture.tokenizer(
                "llama3", bos: "<s>", eos: "</s>", template: template, configuration: [:])
            for text in [
                "the river", "<s>the river", "<s><s>the", "the river</s>", "the</s></s>", "<s>the</s>", "</s>",
            ] {
                #expect(tokenizer.prefixTokens + tokenizer.encodeDocument(text) == tokenizer.encode(text), "of \(text)")
            }
            #expect(tokenizer.encodeDocument("") == [])
            #expect(tokenizer.encodeDocument("<s>").isEmpty == template.hasPrefix("B"))
        }
    }

    @Test("come once before a prompt that spells them out, and never behind a completion that does not")
    func queries() throws {
        let tokenizer = try SpecialTokenFixture.tokenizer(
            "llama3", bos: "<s>", eos: "</s>", template: "BE", configuration: [:])
        let plain = tokenizer.encodeJoined(prompt: "the", completion: " river")
        let document = tokenizer.encode("the river")
        #expect(plain.tokens == document.dropLast())
        #expect(tokenizer.encodeJoined(prompt: "<s>the", completion: " river").tokens == plain.tokens)
        #expect(tokenizer.encodeJoined(prompt: "<s>the", completion: " river").completionStart == plain.completionStart)
        #expect(tokenizer.encodeJoined(prompt: "the", completion: " river</s>").tokens == document)
    }

    @Test("count in the digest, which is not the one of corpora that had them otherwise")
    func digest() throws {
        // Without special tokens around a text nothing has changed.
        let plain = try TokenizerFixture("gpt2").tokenizer()
        #expect(plain.digest == "e3c704a8c327ff0783aea6888b515f01a7dd37c940518c2f80cec547c82221d6")
        let llama = try TokenizerFixture("llama3").tokenizer()
        #expect(llama.prefixTokens == [800])
        #expect(llama.digest != "c442675ef4884f198a3a2b3da129772707dcd00fa19e0e8478785c4ce166a5b1")
    }

    @Test("are told apart by bytes where two names in the template differ in normalization alone")
    func canonicalNames() throws {
        var fields = try TokenizerFixture("gpt2").fields()
        let composed = "\u{E9}"
        let decomposed = "e\u{301}"
        fields["post_processor"] = [
            "type": "TemplateProcessing",
            "single": [["SpecialToken": ["id": decomposed]], ["Sequence": ["id": "A"]]],
            "special_tokens": [composed: ["id": composed, "ids": [5], "tokens": [composed]]],
        ]
        try withTokenizerFolder { folder in
            try JSONSerialization.data(withJSONObject: fields)
                .write(to: folder.appendingPathComponent("tokenizer.json"))
            let error = #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: folder) }
            guard case .missingField("tokenizer.json", _) = error else {
                Issue.record("\(error?.description ?? "nil")")
                return
            }
        }
    }
}
