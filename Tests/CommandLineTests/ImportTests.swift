import Foundation
import Testing

@Suite("tributary import")
struct ImportTests {
    private static let three = """
        {"id": "a", "text": "The city Arden is known for red roofs."}
        {"id": "b", "text": "The city Bryn is known for green roofs."}
        {"id": "c", "text": "The city Corvo is known for white roofs."}

        """

    @Test("counts what it added, and keeps a text that comes again once")
    func counts() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write(Self.three, to: "three.jsonl")
        let first = try await workspace.runToSuccess(["import", file])
        #expect(first.output.contains("imported: 3 documents"))
        let again = try await workspace.runToSuccess(["import", file])
        #expect(again.output.contains("imported: 0 documents"))
        #expect(again.output.contains("3 duplicates"))
        #expect(again.error.contains("warning: nothing was added") && !first.error.contains("warning"))
        #expect(again.output.contains("the corpus has 3 documents"))
    }

    @Test("reads standard input, in the format it is told")
    func standardInput() async throws {
        let workspace = try await TestWorkspace(.empty)
        let outcome = try await workspace.runToSuccess(
            ["import", "-", "--format", "text"], input: "{one paragraph}\n\nand another one\n")
        #expect(outcome.output.contains("imported: 2 documents"))
    }

    @Test(
        "names file and line of a record it cannot use, and keeps what came before",
        arguments: [
            (line: "{\"id\": \"x\", \"text\": ", says: "JSON"), (line: "{\"id\": \"x\"}", says: "\"text\""),
            (line: "{\"id\": \"x\", \"text\": 5}", says: "\"text\""), (line: "[1]", says: "an object"),
        ])
    func badLine(_ bad: (line: String, says: String)) async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write(
            Self.three + bad.line + "\n{\"id\": \"d\", \"text\": \"The city Delph.\"}\n", to: "bad.jsonl")
        let outcome = try await workspace.run(["import", file])
        expectFailure(outcome, saying: "bad.jsonl:4:", bad.says, "3 documents were added")

        let good = try workspace.folder.write(Self.three, to: "good.jsonl")
        let again = try await workspace.runToSuccess(["import", good])
        #expect(again.output.contains("imported: 0 documents"))
        #expect(again.output.contains("the corpus has 3 documents"))
    }

    @Test("names file and line of text that is not UTF-8")
    func invalidUTF8() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = workspace.folder.path("latin.jsonl")
        let bytes = Data((Self.three + "{\"text\": \"").utf8) + [0xE9] + Data("\"}\n".utf8)
        try bytes.write(to: URL(fileURLWithPath: file))
        expectFailure(try await workspace.run(["import", file]), saying: "latin.jsonl:4:", "UTF-8")
    }

    @Test("leaves bad records out where that is asked for, and says which")
    func skipBad() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write("{\"text\": 5}\n" + Self.three, to: "bad.jsonl")
        let outcome = try await workspace.runToSuccess(["import", file, "--skip-bad"])
        #expect(outcome.output.contains("imported: 3 documents"))
        #expect(outcome.output.contains("1 bad"))
        #expect(outcome.error.contains("left out: bad.jsonl"))
    }

    @Test("splits documents at the sequence length that it is given, and keeps to it")
    func sequenceLength() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write(Self.three, to: "three.jsonl")
        let outcome = try await workspace.runToSuccess(["import", file, "--sequence-length", "4"])
        #expect(!outcome.output.contains("3 documents in 3 sequences"))
        expectFailure(
            try await workspace.run(["import", file, "--sequence-length", "8"]), saying: "4", "8", "sequence length")
        try await workspace.runToSuccess(["import", file])
    }

    @Test("refuses a sequence length over the model's context")
    func sequenceLengthOverContext() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write(Self.three, to: "three.jsonl")
        expectFailure(
            try await workspace.run(["import", file, "--sequence-length", "33"]), saying: "--sequence-length", "33",
            "32")
    }

    @Test("refuses a file that is missing, before it reads any")
    func missingFile() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write(Self.three, to: "three.jsonl")
        expectFailure(
            try await workspace.run(["import", file, workspace.folder.path("gone.jsonl")]), saying: "gone.jsonl",
            "Nothing was added")
    }

    @Test("refuses a corpus that another tokenizer made, and leaves it as it is")
    func otherTokenizer() async throws {
        let workspace = try await TestWorkspace(.imported)
        let other = try await TinyModel.ofOtherText
        let outcome = try await Program.run(
            ["import", other.corpus, "--model", other.folder, "--workspace", workspace.path], in: workspace.folder)
        expectFailure(outcome, saying: "corpus.sqlite", "another tokenizer")
        let again = try await workspace.runToSuccess(["import", workspace.model.corpus])
        #expect(again.output.contains("the corpus has 60 documents"))
    }
}
