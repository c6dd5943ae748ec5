import Attribution
import Foundation
import Testing

@Suite("tributary index", .timeLimit(.minutes(10)))
struct IndexTests {
    private let workspace: TestWorkspace

    init() async throws { workspace = try await TestWorkspace() }

    private func query(_ candidates: String) async throws -> Program.Outcome {
        try await workspace.run([
            "query", "--prompt", "The city Arden is known for", "--completion", " red roofs", "--candidates",
            candidates, "--candidate-limit", "10", "--format", "json", "--workers", "1",
        ])
    }

    @Test("makes an index that queries use, and has nothing left to do the second time")
    func candidates() async throws {
        let early = try await query("index")
        expectFailure(early, saying: "candidates.prefilter", "tributary index")

        let made = try await workspace.runToSuccess(["index", "--workers", "1"])
        #expect(made.output.hasPrefix("indexed: "))
        let file = URL(fileURLWithPath: workspace.path).appending(path: "gradients.index")
        let bytes = try Data(contentsOf: file)
        #expect(try await workspace.runToSuccess(["index", "--workers", "1"]).output == made.output)
        #expect(try Data(contentsOf: file) == bytes)

        for candidates in ["index", "both"] {
            let answer = try await query(candidates)
            #expect(answer.status == 0, "\(answer.error)")
            let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(answer.output.utf8))
            #expect(result.candidates.selection == candidates)
            #expect((5...10).contains(result.candidates.considered))
        }
    }

    @Test("keeps its layout, and says so where another is asked for")
    func layout() async throws {
        let sizes = ["index", "--workers", "1", "--signs", "128", "--leading", "8"]
        #expect(try await workspace.runToSuccess(sizes).output.hasPrefix("indexed: "))
        try await workspace.runToSuccess(["index", "--workers", "1"])
        let other = try await workspace.run(["index", "--signs", "192"])
        expectFailure(other, saying: "128 signs", "--rebuild")
        let rebuilt = try await workspace.runToSuccess(["index", "--workers", "1", "--signs", "192", "--rebuild"])
        #expect(rebuilt.output.hasPrefix("indexed: "))
    }

    @Test("is refused after a new fit, and made again with --rebuild")
    func staleness() async throws {
        try await workspace.runToSuccess(["index", "--workers", "1"])
        try await workspace.runToSuccess(["fit", "--workers", "1", "--seed", "9"])
        expectFailure(try await query("index"), saying: "other factors", "--rebuild")
        let again = try await workspace.run(["index"])
        expectFailure(again, saying: "gradients.index", "other factors", "--rebuild")
        try await workspace.runToSuccess(["index", "--workers", "1", "--rebuild"])
        #expect(try await query("index").status == 0)
    }

    @Test("says which sizes there are", arguments: [["--signs", "100"], ["--signs", "0"], ["--leading", "0"]])
    func sizes(options: [String]) async throws {
        let outcome = try await workspace.run(["index"] + options)
        #expect(outcome.status == 2)
        #expect(outcome.error.contains(options[0]) && outcome.error.contains("expected"))
    }
}
