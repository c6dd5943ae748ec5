import ArgumentParser
import Evaluation

struct EvaluateLDS: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: LinearDatamodeling.name,
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

    @Option(parsing: .upToNextOption, help: "\(EstimatorKind.help)")
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
        let queries = try questions.queries(for: options.location.model)
        let given = try scores.map { try GivenScores(path: $0) }
        var settings = LinearDatamodeling.Settings()
        settings.subsets = subsets
        settings.share = share
        settings.estimators = estimators
        settings.seed = options.seed
        settings.solving.seed = options.seed
        try options.run { LinearDatamodeling($0, queries, given: given, settings: settings) }
    }
}

struct EvaluateRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: RemovalStudy.name,
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

    @Option(parsing: .upToNextOption, help: "\(EstimatorKind.help)")
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
        let queries = try questions.queries(for: options.location.model)
        var settings = RemovalStudy.Settings()
        settings.count = top
        settings.estimators = estimators
        settings.repeats = repeats
        settings.wholes = wholes
        settings.seed = options.seed
        settings.solving.seed = options.seed
        try options.run { RemovalStudy($0, queries, settings: settings) }
    }
}

struct EvaluateMislabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: MislabelDetection.name,
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
        var settings = MislabelDetection.Settings()
        settings.corruption = corruption
        settings.share = share
        settings.damping = damping
        settings.seed = options.seed
        try options.run { MislabelDetection($0, settings: settings) }
    }
}

extension Corruption: ExpressibleByArgument {}
