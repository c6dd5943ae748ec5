import Foundation
import Testing

@Suite("Help")
struct HelpTests {
    static let commands = ["import", "fit", "query", "serve", "train", "trees"]

    @Test("lists the commands")
    func root() async throws {
        let outcome = try await Program.run(["--help"], in: TemporaryFolder())
        #expect(outcome.status == 0)
        #expect(outcome.error == "")
        for command in Self.commands { #expect(outcome.output.contains("\n  \(command) ")) }
        for hidden in ["render", "workspace", "logits"] { #expect(!outcome.output.contains("\n  \(hidden) ")) }
    }

    @Test("is there for every command, and explains every option", arguments: commands)
    func command(_ name: String) async throws {
        let outcome = try await Program.run([name, "--help"], in: TemporaryFolder())
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("USAGE: tributary \(name)"))
        // What explains an option stands behind it, or in the next line where there is no room.
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
        for (line, next) in zip(lines, lines.dropFirst()) where line.hasPrefix("  --") {
            let isExplained = line.dropFirst(2).contains("  ") || next.hasPrefix("          ")
            #expect(isExplained, "\(line)")
        }
    }

    @Test("comes with every usage error, which names what is wrong")
    func usage() async throws {
        let outcome = try await Program.run(["fit", "--fisher", "true"], in: TemporaryFolder())
        #expect(outcome.status == 2)
        #expect(outcome.output == "")
        #expect(outcome.error.contains("--fisher"))
        #expect(outcome.error.contains("sampled"))
        #expect(outcome.error.contains("tributary fit"))
    }

    @Test(
        "names the nearest command or option to one that is misspelt",
        arguments: [
            (["qurey", "--prompt", "a"], "Did you mean 'query'?"), (["imports"], "Did you mean 'import'?"),
            (["analyse"], "the commands are import, fit,"), (["query", "--promt", "a"], "Did you mean '--prompt'?"),
            (["query", "--completion", "b", "--rescores", "1"], "Did you mean '--rescore'?"),
        ])
    func misspelt(arguments: [String], words: String) async throws {
        let outcome = try await Program.run(arguments, in: TemporaryFolder())
        #expect(outcome.status == 2)
        #expect(outcome.error.contains(words), "\(outcome.error)")
    }
}
