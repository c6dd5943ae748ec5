import ArgumentParser

/// The command line: one subcommand a file.
@main
struct Tributary: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tributary",
        abstract: "Tells which training sequences made a language model complete a prompt as it did.",
        discussion: """
            Influence functions with EK-FAC factors (Grosse et al. 2023), as a server and as a command.

            Without --model, a small model that comes with Tributary is used, and the corpus it was trained on.
            Results go to standard output, progress and logs to standard error. Exit status: 0 done, 1 failed, 64 usage.
            """,
        version: "1.0.0",
        subcommands: [Train.self, Logits.self])
}
