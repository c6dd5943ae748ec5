import Attribution
import Foundation
import Testing

@testable import tributary

@Suite("tributary query")
struct QueryTests {
    private static let question = ["--prompt", "The city Arden is known for", "--completion", " red roofs"]

    private func results(_ json: String) throws -> [InfluenceResult] {
        struct List: Decodable { let results: [InfluenceResult] }
        return try JSONDecoder().decode(List.self, from: Data(json.utf8)).results
    }

    @Test("ranks the sequences of an imported corpus with fitted factors, as JSON")
    func json() async throws {
        let workspace = try await TestWorkspace()
        let outcome = try await workspace.runToSuccess(
            ["query", "--format", "json", "--top-k", "5", "--layers"] + Self.question)
        let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(outcome.output.utf8))
        #expect(result.sequences.count == 5)
        #expect(result.sequences.map(\.rank) == [1, 2, 3, 4, 5])
        #expect(result.sequences.map(\.score) == result.sequences.map(\.score).sorted(by: >))
        #expect(result.sequences.allSatisfy { $0.tokens == nil && $0.layers?.count == 3 && $0.source == "city" })
        #expect(result.query.completion == " red roofs")
        #expect(result.candidates.corpusSequences == 60)
        #expect(result.candidates.considered <= 60)
    }

    @Test("scores just the sequences that are named")
    func namedCandidates() async throws {
        let workspace = try await TestWorkspace()
        let outcome = try await workspace.runToSuccess(
            ["query", "--format", "json", "--direction", "both", "--candidate", "city-3", "--candidate", "city-7"]
                + Self.question)
        let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(outcome.output.utf8))
        #expect(Set(result.sequences.map(\.id)) == ["city-3", "city-7"])
        expectFailure(
            try await workspace.run(["query", "--candidate", "village-1"] + Self.question), saying: "village-1")
    }

    @Test("scores texts that are not in the corpus, and shows all of them")
    func texts() async throws {
        let workspace = try await TestWorkspace()
        let texts = ["--text", "The city Arden is known for red roofs.", "--text", "A river."]
        let outcome = try await workspace.runToSuccess(["query", "--format", "json"] + texts + Self.question)
        let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(outcome.output.utf8))
        #expect(Set(result.sequences.compactMap(\.index)) == [0, 1])
        let table = try await workspace.runToSuccess(["query"] + texts + Self.question).output
        #expect(table.contains("2 texts scored") && table.contains("given-1"))
        let refused = try await workspace.run(["query", "--source", "city"] + texts + Self.question)
        #expect(refused.status == 2 && refused.error.contains("leave out --candidate and --source"))
    }

    @Test("holds a completion against another, explains a part of it, and says what may be missing")
    func measurement() async throws {
        let workspace = try await TestWorkspace()
        let measured = ["--contrast", " good fish", "--span", "roofs"]
        let asked = Self.question + measured + ["--candidate-limit", "20", "--probe", "15"]
        let json = try await workspace.runToSuccess(["query", "--format", "json", "--output-tokens"] + asked).output
        let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(json.utf8))
        #expect(result.query.contrast?.completion == " good fish")
        #expect(result.query.spans == [CompletionSpan(start: 5, end: 10)])
        #expect(result.query.tokens.contains { $0.measured == true })
        #expect(result.prefilterBias?.sampled == 15 && result.prefilterBias?.outside == 40)
        #expect(result.sequences.allSatisfy { $0.outputTokens?.isEmpty == false })
        let table = try await workspace.runToSuccess(["query"] + asked).output.replacing("\n", with: " ")
        for words in [
            "against \" good fish\", log-probability", "explained are the tokens", "what is explained: ",
            "not scored: 40 sequences", "of 15 drawn at random would have been shown",
        ] {
            #expect(table.contains(words), "\(words) is not in \(table)")
        }
        let numbered = try await workspace.runToSuccess(
            ["query", "--format", "json", "--span", "5:10", "--span", "1:4"] + Self.question)
        let other = try JSONDecoder().decode(InfluenceResult.self, from: Data(numbered.output.utf8))
        #expect(other.query.spans == [CompletionSpan(start: 5, end: 10), CompletionSpan(start: 1, end: 4)])
    }

    @Test(
        "refuses what cannot be measured or probed, by the option's name",
        arguments: [
            (["--span", "blue"], "--span: expected"), (["--span", "3:99"], "--span: expected"),
            (["--contrast", " red roofs"], "--contrast: expected"), (["--probe", "1"], "--probe: expected"),
            (["--probe", "9", "--text", "a"], "--probe: texts"),
        ])
    func measurementRefusals(options: [String], words: String) async throws {
        let workspace = try await TestWorkspace()
        let refused = try await workspace.run(["query"] + options + Self.question)
        #expect(refused.status == 2 && refused.error.contains(words), "\(refused.error)")
    }

    @Test("answers a file of queries in each format, with what a line sets before what the options do")
    func queryFile() async throws {
        let workspace = try await TestWorkspace()
        let file = try workspace.folder.write(
            """
            {"id": "one", "prompt": "The city Arden is", "completion": " known", "expected": ["city-0"]}

            {"prompt": "The city Bryn is", "completion": " known", "top_k": 2, "attribution": {"tokens": true}, "contrast": " good"}
            """, to: "queries.jsonl")
        let call = ["query", "--queries", file, "--top-k", "3", "--layers", "--format"]

        let list = try results(try await workspace.runToSuccess(call + ["json"]).output)
        #expect(list.map(\.query.id) == ["one", nil])
        #expect(list.map(\.sequences.count) == [3, 2])
        #expect(list[0].sequences.allSatisfy { $0.layers != nil && $0.tokens == nil })
        #expect(list[1].sequences.allSatisfy { $0.layers != nil && $0.tokens != nil })
        #expect(list.map { $0.query.contrast?.completion } == [nil, " good"])
        #expect(list[0].timings.batchSize == 2)

        let lines = try await workspace.runToSuccess(call + ["ndjson"]).output.split(separator: "\n")
        let ids = try lines.map { try JSONDecoder().decode(InfluenceResult.self, from: Data($0.utf8)).query.id }
        #expect(ids == ["one", nil])

        let csv = try await workspace.runToSuccess(call + ["csv"]).output
        #expect(csv.hasPrefix("query,query_id,rank,id,"))
        #expect(csv.split(separator: "\r\n").count == 1 + 3 + 2)

        let table = try await workspace.runToSuccess(call + ["table"]).output
        #expect(table.contains("[one] The city Arden is known"))
        #expect(table.contains("The city Bryn is known"))
    }

    @Test("prints a table that fits the width, with influential tokens marked, and no escapes where it is piped")
    func table() async throws {
        let workspace = try await TestWorkspace()
        // Little of the corpus speaks for this, and some against it.
        let question = ["--prompt", "The city Arden is known for", "--completion", " bad food"]
        let outcome = try await workspace.run(
            ["query", "--direction", "both"] + question, environment: ["COLUMNS": "80"])
        #expect(outcome.status == 0)
        #expect(!outcome.output.contains("\u{1B}"))
        #expect(outcome.output.contains("likelier"))
        #expect(outcome.output.contains("less likely"))
        let rows = outcome.output.split(separator: "\n").filter { $0.hasPrefix("   1  ") }
        #expect(rows.count == 2)
        #expect(rows.allSatisfy { $0.contains("*") && $0.contains("city-") })
        let table = outcome.output.split(separator: "\n").drop { !$0.contains("rank") }.prefix {
            !$0.hasPrefix("score:")
        }
        #expect(table.allSatisfy { $0.count <= 80 })

        let colored = try await workspace.runToSuccess(["query", "--color", "always"] + Self.question)
        #expect(colored.output.contains("\u{1B}[1;32m"))
        #expect(!colored.output.contains("*"))
    }

    @Test(
        "takes a file of queries with line ends of any kind, blank lines and a byte order mark",
        arguments: ["\n", "\r\n", "\r\n\r\n", "\n \t\n"], ["", "\u{FEFF}"])
    func queryFileLines(end: String, mark: String) throws {
        let folder = try TemporaryFolder()
        let lines = [
            "{\"prompt\": \"a\", \"completion\": \"b\\r\\n\"}", "{\"prompt\": \"c\", \"completion\": \"e\u{301}\"}",
        ]
        let file = try folder.write(mark + lines.joined(separator: end) + end, to: "queries")
        let queries = try QueryFile(path: file).queries(defaults: InfluenceQuery(prompt: "", completion: "", topK: 7))
        #expect(queries.map(\.prompt) == ["a", "c"] && queries.map(\.topK) == [7, 7])
        #expect(queries.map { Array($0.completion.utf8) } == ["b\r\n", "e\u{301}"].map { Array($0.utf8) })
    }

    @Test(
        "names line and column of a query in a file that cannot be used",
        arguments: [
            ("{\"prompt\": \"a\", \"completion\": \"b\",}", "column 35"),
            ("{\"prompt\": \"a\", \"prompt\": \"b\"}", "\"prompt\" appears twice"),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"damping\": NaN}", "NaN is not JSON, in \"damping\""),
            ("[]", "found a list"), ("{\"prompt\": \"a\"", "jq -c ."),
            ("{\"prompt\": 1, \"completion\": \"b\"}", "prompt: "),
            ("{\"prompt\": \"\u{E9}\", \"completion\": \"b\", \"contrast\": \"b\"}", "contrast: "),
        ])
    func unusableQuery(line: String, words: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("{\"prompt\": \"a\", \"completion\": \"b\"}\r\n\r\n" + line, to: "queries")
        let error = #expect(throws: QueryFileError.self) {
            try QueryFile(path: file).queries(defaults: InfluenceQuery(prompt: "", completion: ""))
        }
        let message = error?.description ?? ""
        #expect(message.contains("line 3: ") && message.contains(words), "\(message)")
    }

    @Test("takes another completion as a contrast that only Unicode calls equal")
    func contrastAlike() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "{\"prompt\": \"a\", \"completion\": \"caf\u{E9}\", \"contrast\": \"cafe\u{301}\"}", to: "queries")
        #expect(try QueryFile(path: file).queries(defaults: InfluenceQuery(prompt: "", completion: "")).count == 1)
    }

    @Test("says which query of a file failed, and answers the others")
    func failingQuery() async throws {
        let workspace = try await TestWorkspace()
        let long = String(repeating: "the city of many bridges ", count: 20)
        let file = try workspace.folder.write(
            """
            {"id": "good", "prompt": "The city", "completion": " is known"}
            {"id": "long", "prompt": "The city", "completion": " \(long)"}
            """, to: "queries.jsonl")
        let outcome = try await workspace.run(["query", "--queries", file, "--format", "ndjson"])
        expectFailure(outcome, saying: "\"long\"", "completion", "context of 32 tokens")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.first?.contains("\"sequences\"") == true)
        #expect(lines.last?.contains("\"error\"") == true)
    }

    @Test(
        "names file and line of a query it cannot read",
        arguments: [
            (line: "{\"prompt\": \"a\"", says: "JSON"), (line: "[]", says: "object"),
            (line: "{\"prompt\": \"a\"}", says: "completion"),
            (line: "{\"prompt\": 1, \"completion\": \"b\"}", says: "prompt"),
            (line: "{\"prompt\": \"a\", \"completion\": \"b\", \"top_k\": 0}", says: "top_k"),
            (
                line: "{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"first\": 1}}",
                says: "candidates.first"
            ),
        ])
    func badLine(_ bad: (line: String, says: String)) async throws {
        let workspace = try await TestWorkspace()
        let file = try workspace.folder.write(
            "{\"prompt\": \"a\", \"completion\": \"b\"}\n\(bad.line)\n", to: "queries.jsonl")
        let outcome = try await workspace.run(["query", "--queries", file])
        expectFailure(outcome, saying: "queries.jsonl", "line 2", bad.says)
        #expect(outcome.output == "")
    }

    @Test("refuses an empty prompt or completion", arguments: ["prompt", "completion"])
    func empty(_ field: String) async throws {
        let workspace = try await TestWorkspace()
        let texts = ["--prompt", field == "prompt" ? "" : "a", "--completion", field == "completion" ? "" : "b"]
        expectFailure(try await workspace.run(["query"] + texts), saying: field, "empty")
    }

    @Test("says what to do where there is no corpus, or no factors")
    func unprepared() async throws {
        let workspace = try await TestWorkspace(.empty)
        expectFailure(try await workspace.run(["query"] + Self.question), saying: "tributary import --model")
        try await workspace.runToSuccess(["import", workspace.model.corpus])
        expectFailure(try await workspace.run(["query"] + Self.question), saying: "tributary fit --model", "--fit")
    }

    @Test("fits factors first where that is asked for, and uses them again")
    func fit() async throws {
        let workspace = try await TestWorkspace(.imported)
        let first = try await workspace.runToSuccess(["query", "--fit"] + Self.question)
        #expect(first.error.contains("fitting factors"))
        let second = try await workspace.runToSuccess(["query", "--fit"] + Self.question)
        #expect(!second.error.contains("fitting factors"))
    }

    @Test("refuses factors of another model")
    func otherFactors() async throws {
        let workspace = try await TestWorkspace()
        let other = try await TinyModel.reseeded
        let outcome = try await Program.run(
            ["query", "--model", other.folder, "--workspace", workspace.path] + Self.question, in: workspace.folder)
        expectFailure(outcome, saying: "factors", "another model")
    }

    @Test("refuses a corpus that another tokenizer made")
    func otherTokenizer() async throws {
        let workspace = try await TestWorkspace()
        let other = try await TinyModel.ofOtherText
        let outcome = try await Program.run(
            ["query", "--model", other.folder, "--workspace", workspace.path] + Self.question, in: workspace.folder)
        expectFailure(outcome, saying: "corpus.sqlite", "another tokenizer")
    }

    @Test("finds the embedded model where none is named, and names its workspace after it")
    func embeddedModel() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Program.run(["workspace"], in: folder)
        #expect(outcome.output.hasPrefix(folder.path("data/tributary/default-")), "\(outcome.error)")
    }

    @Test("keeps a workspace of its own for each model in the user's data folder")
    func defaultWorkspace() async throws {
        let folder = try TemporaryFolder()
        let first = try await TinyModel.first
        let other = try await TinyModel.reseeded
        for model in [first, other] {
            let outcome = try await Program.run(["import", "--model", model.folder, model.corpus], in: folder)
            #expect(outcome.output.contains("imported: 60 documents"), "\(outcome.error)")
        }
        let workspaces = try FileManager.default.contentsOfDirectory(atPath: folder.path("data/tributary")).sorted()
        #expect(workspaces.count == 2)
        #expect(workspaces[0].hasPrefix("first-"))
        #expect(workspaces[1].hasPrefix("reseeded-"))
    }
}
