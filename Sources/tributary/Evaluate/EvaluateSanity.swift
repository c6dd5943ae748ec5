import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate sanity`: what any score of training sequences should pass.
struct EvaluateSanity: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sanity",
        abstract: "Check that scores depend on the weights and on the query, and hardly on the damping.",
        discussion: """
            Scores every sequence for every query with the model, with a model of the same shape and random weights, and with \
            dampings over two orders of magnitude. Also counts the distinct sequences among the top sequences of all queries.

              tributary evaluate sanity
              tributary evaluate sanity --model M --queries questions.jsonl --top 20
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many of each query's top sequences to look at.")
    var top = 10

    @Option(
        parsing: .upToNextOption,
        help: "The dampings to compare, in units of each layer's mean eigenvalue; queries use 0.1 by default.")
    var dampings = SanityChecks.Settings().dampings

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        guard Set(dampings).count == dampings.count else {
            throw ValidationError("--dampings: expected different numbers, but one is given twice")
        }
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
