import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate lds`: the linear datamodeling score.
struct EvaluateLDS: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lds",
        abstract:
            "Train the model again on random parts of the corpus, and see whether scores predict how its outputs change.",
        discussion: """
            Correlates each query's log-probability under the trained models with the sum of the scores of the sequences that each \
            was trained on (the linear datamodeling score). The model must be one that tributary train made, since its recipe is \
            used again. Results are recorded for each trained model, and an interrupted run continues after them.

              tributary evaluate lds --model M --queries questions.jsonl
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many models to train.")
    var subsets = 100

    @Option(help: "The share of the corpus that each model is trained on.")
    var share = 0.5

    @Option(
        parsing: .upToNextOption,
        help: "The estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var estimators: [EstimatorKind] = [.ekfac, .kfac, .identity, .cosine, .astra, .tfidf]

    @Option(
        help: ArgumentHelp(
            """
            A JSON file with another program's scores to evaluate as well: {"name", "scores"}, with one row per query, and in it one \
            number per sequence in the corpus's order. Can be given several times.
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
