import ArgumentParser
import Foundation
import InfluenceService

/// The command line: one file per command.
@main
struct Tributary: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tributary",
        abstract: "Find which training sequences made a language model complete a prompt as it did.",
        discussion: """
            Influence functions with EK-FAC factors (Grosse et al. 2023), as a server and as a command.

            Without --model, commands use a small embedded model and the corpus it was trained on. Try:

              tributary query --prompt "Hamlet is a tragedy written by William" --completion " Shakespeare"

            For your own model, import the text it was trained on, fit its factors, then ask:

              tributary import --model M corpus.jsonl
              tributary fit --model M
              tributary query --model M --prompt P --completion C
              tributary serve --model M

            Results go to standard output, progress and logs to standard error. Exit status: 0 done, 1 failed, 2 usage.
            """,
        version: Service.version,
        subcommands: [
            Import.self, Fit.self, Index.self, Query.self, Serve.self, Train.self, Inspect.self, Evaluate.self,
            Token.self, Render.self, ShowWorkspace.self, Logits.self,
        ])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Ends the process: with the help that was asked for (status 0), how to use the command (2), or what went wrong (1).
    private static func end(with error: any Error) -> Never {
        switch exitCode(for: error) {
        case .success:
            print(fullMessage(for: error))
            Foundation.exit(0)
        case .validationFailure:
            printError(fullMessage(for: error).replacing("Error: ", with: "tributary: ", maxReplacements: 1))
            Foundation.exit(2)
        default:
            if !(error is ExitCode) { printError("tributary: \(ErrorMessage(error))") }
            Foundation.exit(1)
        }
    }
}
