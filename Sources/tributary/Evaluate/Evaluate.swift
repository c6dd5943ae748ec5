import ArgumentParser

/// `tributary evaluate`: what scores are worth, one question a subcommand.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check scores against other estimators.",
        subcommands: [EvaluateEstimators.self])
}
