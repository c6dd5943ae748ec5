import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate sanity`: what any score of training sequences should pass.
struct EvaluateSanity: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sanity",
        abstract: "Check that scores depend on the weights and on the query, and not on the damping.",
        discussion: """
            Scores every sequence for every query by the model, by one of the same shape with random weights, and with \
            dampings of two orders of magnitude; and counts how many distinct sequences are at the top of all queries.

              tributary evaluate sanity
              tributary evaluate sanity --model M --queries questions.jsonl --top 20
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many of a query's top sequences are looked at.")
    var top = 10

    @Option(
        parsing: .upToNextOption,
        help: "Dampings, in units of the mean eigenvalue of each layer; the usual is 0.1.")
    var dampings = SanityChecks.Settings().dampings

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        guard Set(dampings).count == dampings.count else { throw ValidationError("--dampings: one is given twice") }
        try EvaluationLimits.relativeDampings.check(dampings, of: "--dampings")
        try EvaluationLimits.relativeDamping.check(each: dampings, of: "--dampings")
    }

    func run() throws {
        let queries = try questions.questions(to: options.location.model)
        let run = try EvaluationRun("sanity", options)
        var settings = SanityChecks.Settings()
        settings.top = top
        settings.dampings = dampings.sorted()
        settings.seed = options.seed
        let result = try SanityChecks(run.subject, settings: settings, limit: options.limit).run(
            queries, control: run.control)
        try run.finish(result, result.report)
    }
}
