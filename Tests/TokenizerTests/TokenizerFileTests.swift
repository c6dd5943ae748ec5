import Files
import Foundation
import TestScratch
import Testing

@testable import Tokenizer

@Suite("A tokenizer's files")
struct TokenizerFileTests {
    /// The error that reading gives when the fixture's fields are changed.
    static func error(_ kind: String = "gpt2", changing change: (inout [String: Any]) -> Void) throws -> TokenizerError?
    {
        try withTokenizerFolder { folder -> TokenizerError? in
            var fields = try TokenizerFixture(kind).fields()
            change(&fields)
            let data = try JSONSerialization.data(withJSONObject: fields)
            try data.write(to: folder.appendingPathComponent("tokenizer.json"))
            do {
                _ = try Tokenizer(contentsOf: folder)
                return nil
            } catch let error as TokenizerError {
                return error
            }
        }
    }

    static func errorInModel(_ change: (inout [String: Any]) -> Void) throws -> TokenizerError? {
        try error { fields in
            var model = fields["model"] as? [String: Any] ?? [:]
            change(&model)
            fields["model"] = model
        }
    }

    static func errorInVocabulary(_ change: (inout [String: Any]) -> Void) throws -> TokenizerError? {
        try errorInModel { model in
            var vocabulary = model["vocab"] as? [String: Any] ?? [:]
            change(&vocabulary)
            model["vocab"] = vocabulary
        }
    }

    static func unsupported(_ error: TokenizerError?) -> String? {
        guard case .unsupported(let file, let field, let found, let supported) = error else { return nil }
        return file == "tokenizer.json" && !supported.isEmpty ? "\(field): \(found)" : nil
    }

    // MARK: The file as a whole

    @Test("are refused when missing, by path")
    func missing() throws {
        try withTokenizerFolder { folder in
            let path = folder.appendingPathComponent("tokenizer.json").path
            #expect(throws: TokenizerError.missingFile(path)) { try Tokenizer(contentsOf: folder) }
            #expect(throws: TokenizerError.missingFile(path + "x")) {
                try Tokenizer(contentsOf: URL(fileURLWithPath: path + "x"))
            }
        }
    }

    @Test("are refused when not JSON", arguments: ["", "{", "not json", "[1, 2]", "\u{0}", "null"])
    func notJSON(text: String) throws {
        try withTokenizerFolder { folder in
            try Data(text.utf8).write(to: folder.appendingPathComponent("tokenizer.json"))
            let error = #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: folder) }
            #expect(error?.description.hasPrefix("tokenizer.json: ") == true)
        }
    }

    @Test("are refused when cut short anywhere")
    func truncated() throws {
        let whole = try Data(contentsOf: TokenizerFixture("llama3").folder.appendingPathComponent("tokenizer.json"))
        try withTokenizerFolder { folder in
            let file = folder.appendingPathComponent("tokenizer.json")
            for length in stride(from: 1, to: whole.count - 2, by: 149) {
                try whole.prefix(length).write(to: file)
                let error = #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: folder) }
                guard case .malformedJSON("tokenizer.json", _) = error else {
                    Issue.record("\(error?.description ?? "nil") at \(length)")
                    return
                }
            }
        }
    }

    @Test("never stop the process, whatever bytes are changed")
    func mutated() throws {
        let whole = try Data(
            contentsOf: TokenizerFixture("prefix-space").folder.appendingPathComponent("tokenizer.json"))
        var generator = SeededGenerator(seed: 11)
        let text = try TokenizerFixture.generatedText(seed: 5, length: 2_000)
        try withTokenizerFolder { folder in
            let file = folder.appendingPathComponent("tokenizer.json")
            for _ in 0..<600 {
                var bytes = whole
                for _ in 0...generator.next() % 3 {
                    let place = Int(generator.next() % UInt64(bytes.count))
                    let digits = Array("0123456789-\"{}[],:ae ".utf8)
                    bytes[place] = digits[Int(generator.next() % UInt64(digits.count))]
                }
                try bytes.write(to: file)
                guard let tokenizer = try? Tokenizer(contentsOf: folder) else { continue }
                #expect(!tokenizer.decode(tokenizer.encode(text)).isEmpty)
            }
        }
    }

    @Test("name the field that is missing or of the wrong type")
    func wrongTypes() throws {
        #expect(
            try Self.error { $0["model"] = nil } == .missingField(file: "tokenizer.json", field: "model"))
        #expect(
            try Self.errorInModel { $0["vocab"] = nil } == .missingField(file: "tokenizer.json", field: "model.vocab"))
        #expect(
            try Self.errorInModel { $0["merges"] = nil } == .missingField(file: "tokenizer.json", field: "model.merges")
        )
        for (error, field) in [
            (try Self.errorInVocabulary { $0["a"] = "1" }, "model.vocab.a"),
            (try Self.errorInVocabulary { $0["a"] = 1.5 }, "model.vocab.a"),
            (try Self.errorInModel { $0["merges"] = [["a", 1]] }, "model.merges[0][1]"),
            (try Self.errorInModel { $0["merges"] = "a b" }, "model.merges"),
            (try Self.errorInModel { $0["ignore_merges"] = "yes" }, "model.ignore_merges"),
            (try Self.error { $0["added_tokens"] = ["a"] }, "added_tokens[0]"),
            (try Self.error { $0["pre_tokenizer"] = ["type": 3] }, "pre_tokenizer.type"),
        ] {
            guard case .invalidField("tokenizer.json", field, _, _) = error else {
                Issue.record("\(error?.description ?? "no error") instead of one in \(field)")
                continue
            }
        }
    }

    // MARK: Other kinds of tokenizers

    @Test("of other models are refused by name", arguments: ["Unigram", "WordPiece", "WordLevel"])
    func otherModels(type: String) throws {
        let error = try Self.errorInModel { model in
            model = ["type": type, "vocab": [["a", -1.5]], "unk_id": 0]
        }
        #expect(Self.unsupported(error) == "model.type: \(type)")
    }

    @Test("with model options that are not followed are refused")
    func modelOptions() throws {
        // At byte level there is nothing to fall back from.
        #expect(try Self.errorInModel { $0["byte_fallback"] = true } == nil)
        #expect(Self.unsupported(try Self.errorInModel { $0["dropout"] = 0.1 }) == "model.dropout: 0.1")
        #expect(
            Self.unsupported(try Self.errorInModel { $0["end_of_word_suffix"] = "</w>" })
                == "model.end_of_word_suffix: \"</w>\"")
        #expect(
            Self.unsupported(try Self.errorInModel { $0["continuing_subword_prefix"] = "##" })
                == "model.continuing_subword_prefix: \"##\"")
        #expect(Self.unsupported(try Self.error { $0["version"] = "2.0" }) == "version: \"2.0\"")
        #expect(
            try Self.errorInModel { model in
                model["dropout"] = 0
                model["end_of_word_suffix"] = ""
                model["continuing_subword_prefix"] = ""
                model["type"] = nil
            } == nil)
    }

    @Test("with other stages are refused by name")
    func otherStages() throws {
        let metaspace: [String: Any] = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"]
        let byteLevel: [String: Any] = ["type": "ByteLevel", "add_prefix_space": false]
        for (field, value, message) in [
            ("normalizer", ["type": "NFKC"], "normalizer: NFKC"),
            (
                "normalizer", ["type": "Sequence", "normalizers": [["type": "NFC"], ["type": "Lowercase"]]],
                "normalizer.normalizers[1]: Lowercase"
            ),
            (
                "normalizer", ["type": "Replace", "pattern": ["Regex": " +"], "content": ""],
                "normalizer.pattern.Regex:  +"
            ),
            ("pre_tokenizer", metaspace, "decoder: ByteLevel"),
            ("pre_tokenizer", NSNull(), "decoder: ByteLevel"),
            ("pre_tokenizer", ["type": "BertPreTokenizer"], "pre_tokenizer: BertPreTokenizer"),
            (
                "pre_tokenizer", ["type": "Sequence", "pretokenizers": [metaspace, byteLevel]],
                "pre_tokenizer: Metaspace with other stages"
            ),
            (
                "pre_tokenizer", ["type": "Sequence", "pretokenizers": [byteLevel, metaspace]],
                "pre_tokenizer: a Metaspace after another stage"
            ),
            (
                "pre_tokenizer", ["type": "Digits", "individual_digits": true],
                "pre_tokenizer: a pre-tokenizer without ByteLevel"
            ),
            (
                "pre_tokenizer",
                ["type": "Sequence", "pretokenizers": [byteLevel, ["type": "Digits", "individual_digits": true]]],
                "pre_tokenizer: a ByteLevel stage before the end"
            ),
            (
                "pre_tokenizer",
                [
                    "type": "Sequence",
                    "pretokenizers": [
                        [
                            "type": "Split", "pattern": ["Regex": "\\d"],
                            "behavior": "Isolated", "invert": false,
                        ], byteLevel,
                    ],
                ], "pre_tokenizer.pretokenizers[0].pattern.Regex: \\d"
            ),
            (
                "pre_tokenizer",
                ["type": "Split", "pattern": ["String": "▁"], "behavior": "Removed", "invert": false],
                "pre_tokenizer: Split with behavior Removed and invert false"
            ),
            (
                "pre_tokenizer",
                [
                    "type": "Split", "pattern": ["Regex": SplitPattern.gpt2.rawValue],
                    "behavior": "Removed", "invert": false,
                ],
                "pre_tokenizer: Split with behavior Removed and invert false"
            ),
            ("decoder", metaspace, "decoder: Metaspace"),
            ("decoder", NSNull(), "decoder: null"),
            (
                "post_processor", ["type": "BertProcessing", "sep": ["a", 1], "cls": ["a", 1]],
                "post_processor: BertProcessing"
            ),
        ] as [(String, Any, String)] {
            #expect(Self.unsupported(try Self.error { $0[field] = value }) == message)
        }
    }

    @Test("say what is wrong with a template")
    func templates() throws {
        func error(_ single: [[String: Any]], _ special: [String: Any]) throws -> TokenizerError? {
            try Self.error {
                $0["post_processor"] = ["type": "TemplateProcessing", "single": single, "special_tokens": special]
            }
        }
        let sequence: [String: Any] = ["Sequence": ["id": "A", "type_id": 0]]
        let bos: [String: Any] = ["SpecialToken": ["id": "<s>", "type_id": 0]]
        #expect(try error([sequence], [:]) == nil)
        #expect(try error([bos, sequence], ["<s>": ["id": "<s>", "ids": [0], "tokens": ["<s>"]]]) == nil)
        #expect(
            try error([bos, sequence], [:])
                == .missingField(file: "tokenizer.json", field: "post_processor.special_tokens.<s>"))
        #expect(
            try error([bos, sequence], ["<s>": ["ids": [99_999]]])
                == .unknownToken(file: "tokenizer.json", field: "post_processor.special_tokens.<s>.ids", token: "<s>"))
        for wrong in [[], [sequence, sequence], [["Sequence": ["id": "B"]]]] as [[[String: Any]]] {
            guard case .invalidField = try error(wrong, [:]) else {
                Issue.record("\(wrong) is accepted")
                continue
            }
        }
    }

    // MARK: Ids and merges

    @Test("are refused when an id is negative or too large")
    func outOfRange() throws {
        for identifier in [-1, 1 << 22, Int.max] {
            #expect(
                try Self.errorInVocabulary { $0["a"] = identifier }
                    == .identifierOutOfRange(
                        file: "tokenizer.json", field: "model.vocab", token: "a", identifier: identifier,
                        limit: 4_194_303))
        }
    }

    @Test("are refused when two tokens have one id")
    func duplicates() throws {
        #expect(
            try Self.errorInVocabulary { $0["a"] = $0["b"] }
                == .duplicateIdentifier(
                    file: "tokenizer.json", field: "model.vocab", identifier: 66, tokens: ["a", "b"]))
    }

    @Test("are refused when a byte has no token")
    func missingByte() throws {
        #expect(
            try Self.errorInVocabulary { $0["Ġ"] = nil }
                == .missingByteSymbol(file: "tokenizer.json", byte: 0x20, token: "Ġ"))
        #expect(try Self.errorInModel { $0["vocab"] = [String: Int]() } != nil)
        // No text has the byte 0xFF.
        #expect(try Self.errorInVocabulary { $0["ÿ"] = nil } == nil)
    }

    @Test("are refused when a merge names a token that is not there")
    func unknownMerge() throws {
        #expect(
            try Self.errorInModel { $0["merges"] = ["Ġ t", "Ġ nope"] }
                == .unknownToken(file: "tokenizer.json", field: "model.merges[1]", token: "nope"))
        #expect(
            try Self.errorInModel { $0["merges"] = [["x", "Q"]] }
                == .unknownToken(file: "tokenizer.json", field: "model.merges[0]", token: "xQ"))
        for wrong in ["abc", "a b c", ""] {
            guard case .invalidField(_, "model.merges[0]", _, _) = try Self.errorInModel({ $0["merges"] = [wrong] })
            else {
                Issue.record("\(wrong) is accepted")
                continue
            }
        }
        #expect(
            Self.unsupported(try Self.errorInModel { $0["merges"] = [["▁", "a"]] })
                == "model.merges[0]: \"▁\", which is not written in the byte-level alphabet,")
    }

    @Test("are refused when an added token is not where its id says")
    func misplacedAddedToken() throws {
        func error(_ tokens: [(Int, String)]) throws -> TokenizerError? {
            try Self.error { fields in
                fields["added_tokens"] = tokens.map { id, content in
                    [
                        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                        "normalized": false, "special": true,
                    ] as [String: Any]
                }
            }
        }
        #expect(try error([(0, "<|endoftext|>"), (900, "<a>"), (901, "<b>")]) == nil)
        #expect(
            try error([(0, "<|endoftext|>"), (901, "<a>"), (900, "<b>")])
                == .misplacedAddedToken(file: "tokenizer.json", token: "<a>", identifier: 901, expected: 900))
        #expect(
            try error([(5, "<|endoftext|>")])
                == .misplacedAddedToken(file: "tokenizer.json", token: "<|endoftext|>", identifier: 5, expected: 0))
        #expect(
            try error([(900, "<a>"), (900, "<b>")])
                == .duplicateIdentifier(
                    file: "tokenizer.json", field: "added_tokens[1]", identifier: 900, tokens: ["<a>", "<b>"]))
        #expect(
            try error([(-1, "<a>")])
                == .identifierOutOfRange(
                    file: "tokenizer.json", field: "added_tokens[0]", token: "<a>", identifier: -1, limit: 4_194_303))
    }

    // MARK: Writing and digest

    @Test("are the same tokenizer after writing and reading", arguments: TokenizerFixture.kinds)
    func rewriting(kind: String) throws {
        let original = try TokenizerFixture(kind).tokenizer()
        try withTokenizerFolder { folder in
            try original.write(to: folder)
            let read = try Tokenizer(contentsOf: folder)
            #expect(read.description == original.description)
            #expect(read.digest == original.digest)
            let text = try TokenizerFixture.generatedText(seed: 9, length: 5_000)
            #expect(read.encode(text) == original.encode(text))
        }
    }

    @Test("say where they could not be written")
    func unwritable() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        try withTokenizerFolder { folder in
            let missing = folder.appendingPathComponent("missing")
            #expect(throws: AtomicFileError.missingFolder(path: missing.appendingPathComponent("tokenizer.json").path))
            {
                try tokenizer.write(to: missing)
            }
        }
    }

    @Test("of different tokenizers have different digests")
    func digests() throws {
        let digests = try TokenizerFixture.kinds.map { try TokenizerFixture($0).tokenizer().digest }
        #expect(Set(digests).count == digests.count)
        #expect(digests.allSatisfy { $0.count == 64 })
    }

    @Test("of one tokenizer have one digest, however merges are spelled")
    func digestOfSpelling() throws {
        try withTokenizerFolder { folder in
            var fields = try TokenizerFixture("gpt2").fields()
            var model = fields["model"] as? [String: Any] ?? [:]
            let lines = try #require(model["merges"] as? [String])
            model["merges"] = lines.map { $0.split(separator: " ").map(String.init) }
            fields["model"] = model
            fields["truncation"] = nil
            try JSONSerialization.data(withJSONObject: fields).write(
                to: folder.appendingPathComponent("tokenizer.json"))
            #expect(try Tokenizer(contentsOf: folder).digest == TokenizerFixture("gpt2").tokenizer().digest)
        }
    }
}
