import Foundation
import JSON
import Sequences
import Testing

@testable import Corpus

/// Tokens are bytes of UTF-8. A chat is rendered as `role: content` lines, and each ends with the token 3.
private let byteRows = RowTokenization(
    encode: { text, spans in
        TrainingSequence(tokens: text.utf8.map(Int32.init), loss: LossMask(spans))
    },
    chat: { messages, reading in
        // The chat's first turn is left out.
        let dropped = reading.dropsTurns && messages.count > 2 ? 2 : 0
        var text = ""
        var spans: [Range<Int>] = []
        for message in messages.dropFirst(dropped) {
            guard case .string(let role)? = message["role"], case .string(let content)? = message["content"] else {
                throw Unrenderable()
            }
            text += "\(role): "
            let start = text.utf8.count
            text += content + "\u{3}"
            if role == "assistant" { spans.append(start..<text.utf8.count) }
        }
        let tokens = text.utf8.map(Int32.init)
        return ChatRow(
            text: text,
            sequence: TrainingSequence(tokens: tokens, loss: reading.loss == .all ? .all : LossMask(spans)),
            droppedMessages: dropped)
    },
    decode: { tokens in
        guard tokens.allSatisfy({ $0 < 128 }) else { throw Unrenderable() }
        return String(decoding: tokens.map { UInt8($0) }, as: UTF8.self)
    })

private struct Unrenderable: Error, CustomStringConvertible {
    let description = "this cannot be rendered"
}

private func rowCorpus(sequenceLength: Int = 100, prefix: [Int32] = []) throws -> TestCorpus {
    try TestCorpus(sequenceLength: sequenceLength, prefix: prefix, rows: byteRows)
}

private func add(
    _ lines: String, to store: CorpusStore, rows: RowFields = RowFields(), badRecords: CorpusImport.BadRecords = .stop
) throws -> CorpusImportSummary {
    try CorpusImport(into: store, badRecords: badRecords, rows: rows).run([
        .bytes(Array(lines.utf8), name: "rows", format: .jsonLines)
    ])
}

/// The text of a stored sequence, with its tokens without loss in upper case.
private func marked(_ sequence: CorpusSequence) -> String {
    sequence.tokens.enumerated().map { index, token in
        let character = Character(UnicodeScalar(UInt8(token)))
        return sequence.loss[index] ? String(character) : String(character).uppercased()
    }.joined()
}

@Suite("Rows with a loss mask") struct RowTests {
    @Test(
        "carry loss on the completion, on spans, on the assistant's turns, or where a label is",
        arguments: [
            (#"{"prompt": "two and two ", "completion": "are four"}"#, "TWO AND TWO are four"),
            (#"{"text": "äabcdef", "loss": [{"start": 2, "end": 4}, {"start": 5, "end": 6}]}"#, nil),
            (
                #"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}"#,
                "USER: HI\u{3}ASSISTANT: ho\u{3}"
            ),
            (
                #"{"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}"#,
                "USER: HI\u{3}ASSISTANT: ho\u{3}"
            ),
            (#"{"input_ids": [97, 98, 99, 100], "labels": [-100, -100, 99, 100]}"#, "ABcd"),
            (
                #"{"input_ids": [97, 98, 99, 100], "labels": [-100, 98, -100, 100], "attention_mask": [1, 1, 1, 0]}"#,
                "AbC"
            ),
        ])
    func kinds(line: String, expected: String?) throws {
        let corpus = try rowCorpus()
        let summary = try add(line, to: corpus.store)
        #expect(summary.documents == 1)
        let sequence = try #require(try corpus.store.sequences(rowids: [1]).first)
        if let expected {
            #expect(marked(sequence) == expected)
        } else {
            // ä has two bytes.
            #expect(sequence.loss == LossMask([3..<5, 6..<7]))
        }
        #expect(try corpus.store.trainingSequences(rowids: [1]) == [sequence.trainingSequence])
    }

    @Test("carry loss everywhere if asked to, or if all they can predict carries it")
    func all() throws {
        let corpus = try rowCorpus()
        var everywhere = RowFields()
        everywhere.loss = .all
        _ = try add(
            """
            {"prompt": "a", "completion": "b"}
            {"messages": [{"role": "user", "content": "c"}]}
            """, to: corpus.store, rows: everywhere)
        _ = try add(#"{"input_ids": [101, 102], "labels": [-100, 102]}"#, to: corpus.store)
        #expect(try corpus.store.sequences(rowids: [1, 2, 3]).map(\.loss) == [.all, .all, .all])
    }

    @Test("are told apart from plain texts of the same bytes, and from other masks")
    func identity() throws {
        let corpus = try rowCorpus()
        let lines = """
            {"text": "abcd"}
            {"prompt": "ab", "completion": "cd"}
            {"prompt": "abc", "completion": "d"}
            {"text": "abcd", "loss": [{"start": 2, "end": 4}]}
            """
        let summary = try add(lines, to: corpus.store)
        #expect(summary.documents == 3 && summary.duplicates == 1)
        let digest = try corpus.store.digest()
        #expect(try add(lines, to: corpus.store).documents == 0)
        #expect(try corpus.store.digest() == digest)
    }

    @Test("are cut, and left out and counted if no loss remains")
    func cut() throws {
        let corpus = try rowCorpus(sequenceLength: 6)
        let summary = try add(
            """
            {"prompt": "abc", "completion": "defgh"}
            {"prompt": "abcdefgh", "completion": "i"}
            {"text": "abcd", "loss": []}
            {"input_ids": [97, 98], "labels": [97, -100]}
            {"messages": [{"role": "user", "content": "x"}]}
            """, to: corpus.store)
        #expect(summary.documents == 1)
        #expect(summary.cut == 1)
        #expect(summary.cutBeforeLoss == 1)
        #expect(summary.withoutLoss == 3)
        #expect(marked(try #require(try corpus.store.sequences(rowids: [1]).first)) == "ABCdef")
    }

    @Test("have the prefix only if they were not tokenised whole")
    func prefixes() throws {
        let corpus = try rowCorpus(prefix: [1])
        _ = try add(
            """
            {"prompt": "a", "completion": "b"}
            {"input_ids": [97, 98, 99], "labels": [-100, -100, 99]}
            {"prompt": "", "completion": "b"}
            """, to: corpus.store)
        let found = try corpus.store.sequences(rowids: [1, 2, 3])
        #expect(found.map(\.tokens) == [[1, 97, 98], [97, 98, 99], [1, 98]])
        #expect(found.map(\.loss) == [LossMask([2..<3]), LossMask([2..<3]), .all])
        #expect(try corpus.store.tokens(rowids: [1, 2, 3]) == found.map(\.tokens))
    }

    @Test("take their texts from the fields that are named, also by a format")
    func fields() throws {
        let corpus = try rowCorpus()
        var rows = RowFields()
        rows.prompt = try #require(FieldFormat("Q: {question}{{?}} "))
        rows.completion = try #require(FieldFormat("answer"))
        _ = try add(#"{"question": "why", "answer": "so", "text": null}"#, to: corpus.store, rows: rows)
        #expect(try corpus.store.document(named: corpus.store.sequences(rowids: [1])[0].id)?.text == "Q: why{?} so")
        rows = RowFields()
        rows.text = try #require(FieldFormat("body"))
        _ = try add(#"{"body": "plain"}"#, to: corpus.store, rows: rows)
        #expect(try corpus.store.sequences(rowids: [2])[0].loss == .all)
        #expect(FieldFormat("") == nil)
        for wrong in ["{", "a}", "{}", "{a", "{{a}}", "x{a{b}"] { #expect(FieldFormat(wrong) == nil, "\(wrong)") }
    }

    @Test(
        "are refused by line and field",
        arguments: [
            (
                #"{"text": "a", "messages": []}"#, nil,
                "fields for a chat and a text. Name one with --rows chat or --rows text"
            ),
            (#"{"prompt": "a", "completion": ""}"#, "completion", "is empty"),
            (#"{"prompt": "a", "completion": 3}"#, "completion", "is a number"),
            (#"{"id": "x"}"#, "text", "has no \"text\""),
            (#"{"text": "abc", "loss": [{"start": 1, "end": 4}]}"#, "loss[0]", "within the text's 3 code points"),
            (#"{"text": "abc", "loss": [{"start": 1, "end": 1}]}"#, "loss[0]", "found 1 to 1"),
            (
                #"{"text": "abc", "loss": [{"start": 1, "end": 3}, {"start": 2, "end": 3}]}"#, "loss[1]",
                "must not overlap"
            ),
            (#"{"text": "abc", "loss": [{"start": -1, "end": 3}]}"#, "loss[0]", "whole numbers from 0"),
            (#"{"text": "abc", "loss": {}}"#, "loss", "is an object"),
            (#"{"messages": {}}"#, "messages", "is an object"),
            (#"{"messages": []}"#, "messages", "is empty"),
            (#"{"messages": ["a"]}"#, "messages[0]", "is a string"),
            (#"{"messages": [{"role": "user"}]}"#, "messages", "cannot be rendered"),
            (#"{"input_ids": [1, 2], "labels": [1]}"#, "labels", "has 1 entries, but \"input_ids\" has 2"),
            (#"{"input_ids": [1, 2], "attention_mask": [1]}"#, "attention_mask", "has 1 entries"),
            (#"{"input_ids": [1, -2]}"#, "input_ids[1]", "-2 is not the id of a token"),
            (#"{"input_ids": [1, 99999999999]}"#, "input_ids[1]", "is not the id of a token"),
            (#"{"input_ids": [1, 1.5]}"#, "input_ids[1]", "an integer is expected"),
            (#"{"input_ids": [300, 301]}"#, "input_ids", "cannot be rendered"),
            (#"{"input_ids": [1, 2], "labels": [1, 3]}"#, "labels[1]", "expected the token at the same index, 2"),
            (#"{"input_ids": [], "labels": []}"#, "input_ids", "is empty"),
            (
                #"{"text": "ab", "labels": [1, 2]}"#, "labels",
                "and this record has none; of a \"text\", \"loss\" says it"
            ),
            (
                #"{"prompt": "a", "completion": "b", "labels": [-100, 2]}"#, "labels",
                "import --rows completion ignores it"
            ),
            (
                #"{"prompt": "a", "completion": "b", "loss": [{"start": 0, "end": 1}]}"#, "loss",
                "which parts of \"text\""
            ),
            (
                #"{"messages": [{"role": "assistant", "content": "b"}], "loss": [{"start": 0, "end": 1}]}"#, "loss",
                "--rows chat"
            ),
            (#"{"input_ids": [1, 2], "loss": [{"start": 0, "end": 1}]}"#, "loss", "--rows tokens"),
            (#"{"input_ids": [1, 2], "attention_mask": [0, 0]}"#, "input_ids", "is empty"),
        ] as [(String, String?, String)])
    func refusals(line: String, field: String?, text: String) throws {
        let corpus = try rowCorpus()
        let failure = importFailure { _ = try add("{\"text\": \"good\"}\n" + line, to: corpus.store) }
        let reason = try #require(failure?.reason)
        #expect(reason.location?.line == 2)
        #expect(reason.field == field)
        #expect(reason.description.contains(text), "\(reason)")
        #expect(try corpus.store.statistics().documents == 1)
    }

    @Test("with fields of other kinds are read if they are said to be of one kind, or if a format uses the field")
    func ignored() throws {
        let corpus = try rowCorpus()
        var rows = RowFields()
        rows.kind = .text
        _ = try add(#"{"text": "ab", "labels": [1, 2]}"#, to: corpus.store, rows: rows)
        rows = RowFields()
        rows.completion = try #require(FieldFormat("labels"))
        _ = try add(#"{"prompt": "xa", "labels": "cd"}"#, to: corpus.store, rows: rows)
        _ = try add(#"{"text": "ef", "labels": null}"#, to: corpus.store)
        #expect(try corpus.store.sequences(rowids: [1, 2, 3]).map(marked) == ["ab", "XAcd", "ef"])
    }

    @Test("that are chats are counted where their first turns are left out, and where they are cut")
    func longChats() throws {
        let corpus = try rowCorpus(sequenceLength: 40)
        let turn = #"{"role": "user", "content": "a"}, {"role": "assistant", "content": "answer"}"#
        let chat = "{\"messages\": [\(turn), \(turn)]}"
        let cut = try add(chat, to: corpus.store)
        #expect((cut.documents, cut.cut, cut.cutChats, cut.shortened) == (1, 1, 1, 0))
        var rows = RowFields()
        rows.dropsTurns = true
        let shortened = try add(chat, to: corpus.store, rows: rows)
        #expect((shortened.documents, shortened.cut, shortened.cutChats, shortened.shortened) == (1, 0, 0, 1))
        #expect(marked(try corpus.store.sequences(rowids: [2])[0]) == "USER: A\u{3}ASSISTANT: answer\u{3}")
        let row = try add(
            #"{"prompt": "a", "completion": "\#(String(repeating: "b", count: 90))"}"#, to: corpus.store)
        #expect((row.cut, row.cutChats) == (1, 0))
    }

    @Test("name the fields that a record has if one is missing")
    func missing() throws {
        let corpus = try rowCorpus()
        var rows = RowFields()
        rows.kind = .completion
        let failure = importFailure { _ = try add(#"{"question": "a", "answer": "b"}"#, to: corpus.store, rows: rows) }
        let text = try #require(failure?.reason.description)
        #expect(text.contains("has no \"prompt\"") && text.contains("\"question\", \"answer\""), "\(text)")
    }

    @Test("in a corpus of an earlier version are plain texts")
    func earlierVersion() throws {
        let corpus = try rowCorpus()
        _ = try add(#"{"text": "abc"}"#, to: corpus.store)
        #expect(try corpus.store.trainingSequences(rowids: [1]) == [TrainingSequence(tokens: [97, 98, 99])])
    }
}
