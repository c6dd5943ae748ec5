import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate lds`: the linear datamodeling score.
struct EvaluateLDS: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lds",
        abstract:
            "Train the model anew on random parts of the corpus, and see whether scores predict what it then says.",
        discussion: """
            Correlates each query's log-probability under the trained models with the sum of the scores of what each was \
            trained on (the linear datamodeling score). The model must be one that tributary train made: its recipe is \
            used again. Models that are trained are kept as records, and a run that was interrupted goes on behind them.

              tributary evaluate lds --model M --queries questions.jsonl
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many models are trained.")
    var subsets = 100

    @Option(help: "The share of the corpus that each is trained on.")
    var share = 0.5

    @Option(
        parsing: .upToNextOption,
        help: "Which estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var estimators: [EstimatorKind] = [.ekfac, .kfac, .identity, .cosine, .astra, .tfidf]

    @Option(
        help: ArgumentHelp(
            """
            Scores of another program to be judged as well: JSON of {"name", "scores"}, a row a query, a number a sequence in the \
            corpus's order.
            """, valueName: "file"),
        completion: .file(extensions: ["json"]))
    var scores: [String] = []

    func validate() throws {
        try EvaluationLimits.subsets.check(subsets, of: "--subsets")
        try EvaluationLimits.trainedShare.check(share, of: "--share")
    }

    func run() throws {
        let queries = try questions.questions(to: options.location.model)
        let given = try scores.map { try GivenScores(path: $0) }
        let run = try EvaluationRun("lds", options)
        var settings = LinearDatamodeling.Settings()
        settings.subsets = subsets
        settings.share = share
        settings.estimators = estimators
        settings.seed = options.seed
        settings.solving.seed = options.seed
        let result = try LinearDatamodeling(run.subject, settings: settings, limit: options.limit).run(
            queries, given: given, records: run.records, control: run.control)
        try run.finish(result, result.report)
    }
}
