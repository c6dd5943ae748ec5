import ArgumentParser
import Files
import Foundation
import InfluenceService

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and revoke the tokens that a server accepts.",
        discussion: """
            A server on an address that other machines can reach requires a token with every request, in the Authorization field. \
            Tokens are stored in the workspace as salted hashes. A running server notices changes by itself.

              tributary token create --name dashboard --scope read
              curl -H 'Authorization: Bearer trb_…' https://tributary.example.org/v1/jobs
            """,
        subcommands: [Create.self, List.self, Revoke.self])

    struct Location: ParsableArguments {
        @OptionGroup var workspace: WorkspaceOptions

        @Option(
            help:
                "The file with the tokens: the server's authentication.tokens_file. (default: tokens.json in the workspace)",
            completion: .file(extensions: ["json"]))
        var tokensFile: String?

        func file() throws -> TokenFile {
            if let tokensFile { return TokenFile(URL(fileURLWithPath: tokensFile)) }
            let (folder, _) = try Workspace.location(of: workspace.source, folder: workspace.workspace)
            try FileSystem.makeFolder(at: folder.path)
            return TokenFile(folder.appending(path: TokenFile.name))
        }
    }
}

extension Token {
    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a token and print it, once.",
            discussion: """
                Only the token goes to standard output. It cannot be shown again, because the server keeps only its hash.
                """)

        @OptionGroup var location: Location

        @Option(help: "What the token is for; shown in lists and logs.")
        var name: String

        @Option(
            help: """
                What the token allows: read, to look at jobs, results and the corpus; query, also to ask; admin, also to add to the corpus.
                """)
        var scope = Scope.query

        @Option(help: "The number of days after which the token expires. (default: never)")
        var days: Double?

        @Option(help: "How many requests per minute the token can send. (default: any number)")
        var requestsPerMinute: Int?

        @Option(
            help: "How many of the token's queries can wait or run at a time. (default: as many as the server accepts)")
        var queuedQueries: Int?

        func validate() throws {
            if name.isEmpty { throw ValidationError("--name: expected at least one character") }
            try AccessToken.Limits.days.check(days, of: "--days")
            try AccessToken.Limits.requestsPerMinute.check(requestsPerMinute, of: "--requests-per-minute")
            try AccessToken.Limits.queuedQueries.check(queuedQueries, of: "--queued-queries")
        }

        func run() throws {
            let (token, text) = AccessToken.create(
                name: name, scope: scope, expires: days.map { Date(timeIntervalSinceNow: $0 * 86_400) },
                requestsPerMinute: requestsPerMinute, queuedQueries: queuedQueries)
            let file = try location.file()
            try file.add(token)
            printError("token \(token.id) (\(token.name), \(token.scope.rawValue)) is in \(file.url.path)")
            print(text)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the tokens, without their secrets.")

        @OptionGroup var location: Location

        func run() throws {
            let tokens = try location.file().tokens()
            guard !tokens.isEmpty else { return printError("there are no tokens") }
            let rows =
                [["id", "name", "scope", "created", "expires", "requests/min", "queries"]] + tokens.map(Self.row)
            let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].columns }.max() ?? 0 }
            for row in rows {
                let cells = zip(row, widths).map { $0.fitted(to: $1) }
                print(cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces))
            }
        }

        private static func row(_ token: AccessToken) -> [String] {
            [
                token.id, token.name.escaped, token.scope.rawValue, day(token.created),
                token.expires.map(day) ?? "never", token.requestsPerMinute.map(String.init) ?? "any",
                token.queuedQueries.map(String.init) ?? "any",
            ]
        }

        private static func day(_ date: Date) -> String { date.formatted(.iso8601.year().month().day()) }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke a token, at once.")

        @OptionGroup var location: Location

        @Argument(help: "The token's id, or its name if no other token has the same name.")
        var token: String

        func run() throws {
            let revoked = try location.file().revoke(token)
            print("revoked \(revoked.id) (\(revoked.name.escaped))")
        }
    }
}

extension Scope: ExpressibleByArgument {}
