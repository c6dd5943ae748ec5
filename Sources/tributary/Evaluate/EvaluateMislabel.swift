import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate mislabel`: does self-influence find what was garbled on purpose?
struct EvaluateMislabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mislabel",
        abstract:
            "Garble some of the corpus, train the model on it, and see whether self-influence finds what was garbled.",
        discussion: """
            The model must be one that tributary train made: its recipe is used again.

              tributary evaluate mislabel --model M
            """)

    @OptionGroup var options: EvaluationOptions

    @Option(
        help: """
            How: shuffled, the tokens of the second half are in random order; exchanged, the second half is that of another.
            """)
    var corruption = Corruption.shuffled

    @Option(help: "The share of the corpus that is garbled.")
    var share = 0.1

    @Option(help: "Damping. (default: 0.1 times the mean eigenvalue of each layer)")
    var damping: Double?

    func validate() throws {
        try EvaluationLimits.corruptedShare.check(share, of: "--share")
        try EvaluationLimits.damping.check(damping, of: "--damping")
    }

    func run() throws {
        let run = try EvaluationRun("mislabel", options)
        var settings = MislabelDetection.Settings()
        settings.corruption = corruption
        settings.share = share
        settings.damping = damping
        settings.seed = options.seed
        let result = try MislabelDetection(run.subject, settings: settings, limit: options.limit).run(
            control: run.control)
        try run.finish(result, result.report)
    }
}

extension Corruption: ExpressibleByArgument {}
