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
            ExplainTrees.self,
            Token.self, Render.self, ShowWorkspace.self, Logits.self,
        ])

    static func main() async {
        do {
            try refuse(unknownCommand: CommandLine.arguments.dropFirst().first)
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

    /// Refuses a misspelt command by name, which the parser would take for an argument of the program.
    private static func refuse(unknownCommand word: String?) throws {
        guard let word, !word.hasPrefix("-"), word != "help" else { return }
        var (names, shown): ([String], [String]) = ([], [])
        for command in configuration.subcommands {
            names.append(command._commandName)
            if command.configuration.shouldDisplay { shown.append(command._commandName) }
        }
        guard !names.contains(word) else { return }
        let nearest = shown.map { (name: $0, edits: $0.edits(to: word)) }.min { $0.edits < $1.edits }
        let guess = nearest.flatMap { $0.edits <= 2 ? ". Did you mean '\($0.name)'?" : nil }
        throw ValidationError(
            "there is no command '\(word.escaped)'\(guess ?? "; the commands are \(shown.joined(separator: ", ")).")")
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

extension String {
    /// How many characters have to be inserted, removed or replaced to make another word of this one (Levenshtein's distance).
    fileprivate func edits(to other: String) -> Int {
        let word = Array(other)
        var row = Array(0...word.count)
        for character in self {
            var diagonal = row[0]
            row[0] += 1
            for column in word.indices {
                let replaced = diagonal + (word[column] == character ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = Swift.min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[word.count]
    }
}
