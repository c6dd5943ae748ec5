import ArgumentParser
import Foundation
import Testing

@testable import tributary

/// The options are those that the program itself lists, so that one that is new is tested as well.
@Suite("Every option that takes a number")
struct OptionLimitTests {
    /// A command and its options.
    private struct Command {
        let type: any ParsableCommand.Type
        let options: [String]

        var name: String { type._commandName }

        /// The arguments that it must have.
        var needed: [String] {
            switch name {
            case "import": ["file.txt"]
            case "query": ["--prompt", "a", "--completion", "b"]
            case "train": ["--corpus", "a", "--output", "b"]
            case "create": ["--name", "a"]
            case "revoke": ["a"]
            case "logits": ["--model", "a"]
            default: []
            }
        }

        /// Whether it would run with a value, without running it.
        func takes(_ value: String, for option: String) -> Bool {
            do {
                _ = try type.parse(needed + ["\(option)=\(value)"])
                return true
            } catch {
                #expect(type.exitCode(for: error) == .validationFailure, "\(name) \(option)=\(value): \(error)")
                return false
            }
        }
    }

    /// The commands of the program.
    private static func all() throws -> [Command] {
        let help = try JSONSerialization.jsonObject(with: Data(Tributary._dumpHelp().utf8)) as? [String: Any]
        return commands(try #require(help?["command"] as? [String: Any]), of: Tributary.self)
    }

    private static func commands(_ help: [String: Any], of type: any ParsableCommand.Type) -> [Command] {
        let options = (help["arguments"] as? [[String: Any]] ?? []).filter { $0["kind"] as? String == "option" }
        let names = options.compactMap { option in
            (option["names"] as? [[String: Any]])?.first { $0["kind"] as? String == "long" }?["name"] as? String
        }
        let inner = (help["subcommands"] as? [[String: Any]] ?? []).flatMap { help in
            type.configuration.subcommands.filter { $0._commandName == help["commandName"] as? String }.flatMap {
                commands(help, of: $0)
            }
        }
        return [Command(type: type, options: names.map { "--\($0)" })] + inner
    }

    @Test("takes no value that is out of all proportion, and none that the program would end on")
    func extremes() throws {
        var found: Set<String> = []
        for command in try Self.all() {
            for option in command.options where !command.takes("word", for: option) {
                guard ["3", "64", "0.3"].contains(where: { command.takes($0, for: option) }) else { continue }
                found.insert("\(command.name) \(option)")
                for value in ["-9223372036854775808", "1e400", "-1e308", "nan", ""] {
                    #expect(!command.takes(value, for: option), "\(command.name) \(option)=\(value)")
                }
                for value in ["9223372036854775807", "18446744073709551615", "1e308"] {
                    // Any seed is as good as any other, and Float32 holds larger numbers.
                    guard option != "--seed", option != "--damping" || value == "1e308" else { continue }
                    #expect(!command.takes(value, for: option), "\(command.name) \(option)=\(value)")
                }
                for value in ["0", "-1", "1.5", "5e-324"] { _ = command.takes(value, for: option) }
            }
        }
        for option in [
            "query --candidate-limit", "query --top-k", "query --rank", "query --rescore", "query --probe",
            "query --damping", "query --lines", "query --workers", "fit --max-sequences", "fit --seed",
            "fit --largest-block", "index --signs", "index --leading", "serve --port", "serve --workers",
            "import --sequence-length", "train --workers", "inspect --sequences", "create --days",
            "create --requests-per-minute", "pbrf --copies", "sanity --dampings", "lds --share",
        ] { #expect(found.contains(option), "\(option) is not among \(found.sorted())") }
    }

    @Test("refuses a query in the words of the server")
    func words() async throws {
        let outcome = try await Program.run(
            ["query", "--prompt", "a", "--completion", "b", "--candidate-limit", "4611686018427387904"],
            in: TemporaryFolder())
        #expect(outcome.status == 2)
        #expect(
            outcome.error.contains(
                "--candidate-limit: expected a whole number from 1 to 1000000000, found 4611686018427387904"))
    }
}
