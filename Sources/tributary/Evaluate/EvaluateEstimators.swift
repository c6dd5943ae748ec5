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

struct EvaluatePBRF: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: ResponseComparison.name,
        abstract:
            "Train the model with more weight on single sequences, and see whether scores predict the effect.",
        discussion: """
            Finds the proximal Bregman response to some sequences: the parameters to which more weight on a sequence would lead, \
            while the model otherwise stays close to its own outputs and parameters. The change of each query's log-probability is \
            then correlated with the scores of every estimator. Any checkpoint will do. Responses are recorded, and an interrupted \
            run continues after them.

              tributary evaluate pbrf
              tributary evaluate pbrf --model M --queries questions.jsonl --sequences 32
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many sequences to find the response to: half chosen by TF-IDF, half at random.")
    var sequences = 64

    @Option(parsing: .upToNextOption, help: "\(EstimatorKind.help) (default: all)")
    var estimators: [EstimatorKind] = []

    @Option(
        help: """
            How much weight to add to a sequence, in copies of it. Influence predicts the effect of a small weight; the effect of \
            a weight that is too small is lost in rounding.
            """)
    var copies = ResponseComparison.Settings().copies

    @Option(help: "The most minimisation steps per response.")
    var iterations = ResponseComparison.Settings().iterations

    @Option(help: "The share of the objective's initial gradient at which the minimum counts as reached.")
    var tolerance = ResponseComparison.Settings().tolerance

    @Option(help: "On how many sequences, evenly spread, the model is kept close to its outputs. (default: all)")
    var held: Int?

    @Option(
        parsing: .upToNextOption,
        help: "The number of LiSSA iterations. If several are given, each is an estimator of its own. (default: 200)")
    var lissaIterations: [Int] = []

    @Option(help: "The damping of the curvature. (default: 0.1 times the mean eigenvalue of each layer)")
    var damping: Double?

    func validate() throws {
        try EvaluationLimits.responses.check(sequences, of: "--sequences")
        try EvaluationLimits.iterations.check(iterations, of: "--iterations")
        try EvaluationLimits.sample.check(held, of: "--held")
        try EvaluationLimits.iterations.check(each: lissaIterations, of: "--lissa-iterations")
        try EvaluationLimits.copies.check(copies, of: "--copies")
        guard copies != 0 else { throw ValidationError("--copies: expected a number other than 0") }
        try EvaluationLimits.tolerance.check(tolerance, of: "--tolerance")
        try EvaluationLimits.damping.check(damping, of: "--damping")
    }

    func run() throws {
        let queries = try questions.queries(for: options.location.model)
        var settings = ResponseComparison.Settings()
        settings.sequences = sequences
        settings.copies = copies
        settings.iterations = iterations
        settings.tolerance = tolerance
        settings.heldSequences = held
        if !estimators.isEmpty { settings.solving.estimators = estimators }
        if !lissaIterations.isEmpty { settings.lissaIterations = lissaIterations }
        settings.solving.damping = damping
        settings.solving.seed = options.seed
        settings.seed = options.seed
        try options.run { ResponseComparison($0, queries, settings: settings) }
    }
}
