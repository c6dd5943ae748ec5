import ArgumentParser
import Evaluation

struct EvaluateEstimators: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: EstimatorComparison.name,
        abstract: "Compare estimators of influence: their scores, their time and their memory.",
        discussion: """
            Scores the same candidates of each query with every estimator, and correlates the scores: EK-FAC, K-FAC, the diagonal, \
            inner products and cosines of gradients, LiSSA, conjugate gradients and ASTRA on the Gauss-Newton matrix, and TF-IDF.

              tributary evaluate estimators
              tributary evaluate estimators --model M --queries questions.jsonl
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(parsing: .upToNextOption, help: "\(EstimatorKind.help) (default: all)")
    var estimators: [EstimatorKind] = []

    @Option(help: "How many sequences to score per query: half chosen by TF-IDF, half at random.")
    var candidates = 200

    @Option(help: "The damping of the curvature. (default: 0.1 times the mean eigenvalue of each layer)")
    var damping: Double?

    func validate() throws {
        try EvaluationLimits.candidates.check(candidates, of: "--candidates")
        try EvaluationLimits.damping.check(damping, of: "--damping")
    }

    func run() throws {
        let queries = try questions.queries(for: options.location.model)
        var settings = EstimatorSettings()
        if !estimators.isEmpty { settings.estimators = estimators }
        settings.candidates = candidates
        settings.damping = damping
        settings.seed = options.seed
        try options.run { EstimatorComparison($0, queries, settings: settings) }
    }
}
