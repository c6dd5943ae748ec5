import Foundation
import Testing

@Suite("tributary token", .timeLimit(.minutes(10)))
struct TokenTests {
    @Test("makes a token that is printed once, lists it without its secret, and takes it back")
    func life() async throws {
        let folder = try TemporaryFolder()
        let location = ["--workspace", folder.path("workspace")]
        let made = try await Program.run(
            ["token", "create", "--name", "a notebook", "--scope", "read", "--requests-per-minute", "60"] + location,
            in: folder)
        #expect(made.status == 0, "\(made.error)")
        let lines = made.output.split(separator: "\n")
        try #require(lines.count == 1 && lines[0].hasPrefix("trb_"))
        let parts = lines[0].split(separator: "_")
        let id = String(parts[1])

        let listed = try await Program.run(["token", "list"] + location, in: folder)
        #expect(listed.output.contains(id) && listed.output.contains("a notebook") && listed.output.contains("60"))
        #expect(!listed.output.contains(parts[2]))

        let revoked = try await Program.run(["token", "revoke", id] + location, in: folder)
        #expect(revoked.status == 0 && revoked.output.contains(id))
        let none = try await Program.run(["token", "list"] + location, in: folder)
        #expect(none.output.isEmpty && none.error.contains("there are no tokens"))
        expectFailure(try await Program.run(["token", "revoke", id] + location, in: folder), saying: id, "token list")
    }

    @Test(
        "refuses what makes no sense",
        arguments: [
            (["--name", ""], "--name"), (["--name", "a", "--scope", "root"], "root"),
            (["--name", "a", "--days", "0"], "--days"),
            (["--name", "a", "--queued-queries", "0"], "--queued-queries"), ([], "--name"),
        ])
    func badOptions(options: [String], named: String) async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Program.run(
            ["token", "create", "--workspace", folder.path("workspace")] + options, in: folder)
        #expect(outcome.status == 2)
        #expect(outcome.error.contains(named))
        #expect(!FileManager.default.fileExists(atPath: folder.path("workspace/tokens.json")))
    }

    @Test("is wanted by a server that other machines reach")
    func server() async throws {
        let workspace = try await TestWorkspace(.empty)
        let outcome = try await workspace.run(["serve", "--port", "0", "--host", "0.0.0.0"])
        expectFailure(outcome, saying: "0.0.0.0", "tributary token create", "--insecure")
    }
}
