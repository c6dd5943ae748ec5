import Foundation
import Testing

@Suite("Exit status")
struct ExitStatusTests {
    @Test(
        "is 2 for a call that makes no sense",
        arguments: [
            ["analyse"], ["query"], ["query", "--prompt", "a"], ["query", "--queries", "q.jsonl", "--prompt", "a"],
            ["query", "--prompt", "a", "--completion", "b", "--top-k", "0"],
            ["query", "--prompt", "a", "--completion", "b", "--rank", "large"],
            ["query", "--prompt", "a", "--completion", "b", "--damping", "-1"],
            ["query", "--prompt", "a", "--completion", "b", "--candidates", "best"], ["import"],
            ["import", "file.txt", "--sequence-length", "1"], ["fit", "--max-sequences", "0"],
            ["fit", "--workers", "0"], ["fit", "--largest-block", "1"],
            ["serve", "--port", "70000"], ["train", "--corpus", "file.txt"],
        ])
    func usage(_ arguments: [String]) async throws {
        let outcome = try await Program.run(arguments, in: TemporaryFolder())
        #expect(outcome.status == 2)
        #expect(outcome.output == "")
        #expect(outcome.error.hasPrefix("tributary: "), "\(outcome.error)")
    }

    @Test("is 1, with one sentence, for a run that fails")
    func failure() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Program.run(["fit", "--model", folder.path("nowhere")], in: folder)
        expectFailure(outcome, saying: "nowhere", "hf download")
        #expect(outcome.errorLines.count == 1)
        #expect(outcome.output == "")
    }

    @Test("is 0 for the version")
    func version() async throws {
        let outcome = try await Program.run(["--version"], in: TemporaryFolder())
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("."))
    }
}
