import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate mislabel`: does self-influence find what was garbled on purpose?
struct EvaluateMislabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mislabel",
        abstract:
            "Corrupt some of the corpus, train the model on it, and see whether self-influence finds the corrupted sequences.",
        discussion: """
            The model must be one that tributary train made, since its recipe is used again.

              tributary evaluate mislabel --model M
            """)

    @OptionGroup var options: EvaluationOptions

    @Option(
        help: """
            How to corrupt a sequence: shuffled, put the tokens of its second half in random order; exchanged, replace its second \
            half by another sequence's.
            """)
    var corruption = Corruption.shuffled

    @Option(help: "The share of the corpus to corrupt.")
    var share = 0.1

    @Option(help: "The damping of the curvature. (default: 0.1 times the mean eigenvalue of each layer)")
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
