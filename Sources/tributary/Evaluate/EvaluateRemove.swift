import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate remove`: training without a query's top sequences.
struct EvaluateRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract:
            "Train the model again without each query's top sequences, and see how much less likely its completion becomes.",
        discussion: """
            Removes each estimator's top sequences, or as many random ones, from the corpus, and trains a model on the remaining \
            sequences. The model must be one that tributary train made, since its recipe is used again. Results are recorded for \
            each trained model, and an interrupted run continues after them.

              tributary evaluate remove --model M --queries questions.jsonl --top 20
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many sequences to remove.")
    var top = 20

    @Option(
        parsing: .upToNextOption,
        help: "The estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var estimators: [EstimatorKind] = [.ekfac, .tfidf]

    @Option(help: "How many models to train per query and choice of sequences, each from other initial weights.")
    var repeats = 1

    @Option(help: "How many models to train on the whole corpus, for comparison.")
    var wholes = 4

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        try EvaluationLimits.trainings.check(repeats, of: "--repeats")
        try EvaluationLimits.trainings.check(wholes, of: "--wholes")
    }

    func run() throws {
        let queries = try questions.questions(to: options.location.model)
        let run = try EvaluationRun("remove", options)
        var settings = RemovalStudy.Settings()
        settings.count = top
        settings.estimators = estimators
        settings.repeats = repeats
        settings.wholes = wholes
        settings.seed = options.seed
        settings.solving.seed = options.seed
        let result = try RemovalStudy(run.subject, settings: settings, limit: options.limit).run(
            queries, records: run.records, control: run.control)
        try run.finish(result, result.report)
    }
}
