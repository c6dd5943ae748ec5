import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate remove`: training without a query's top sequences.
struct EvaluateRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract:
            "Train the model anew without each query's top sequences, and see how much less likely its completion is.",
        discussion: """
            Takes the top sequences by each estimator, and as many at random, out of the corpus, and trains a model on the rest. \
            The model must be one that tributary train made. Trained models are kept as records, and a run that was \
            interrupted goes on behind them.

              tributary evaluate remove --model M --queries questions.jsonl --top 20
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many sequences are taken out.")
    var top = 20

    @Option(
        parsing: .upToNextOption,
        help: "Which estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var estimators: [EstimatorKind] = [.ekfac, .tfidf]

    @Option(help: "Models trained for each query and choice, from other initial weights each.")
    var repeats = 1

    @Option(help: "Models trained on the whole corpus, for comparison.")
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
