import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate pbrf`: scores beside what they promise to predict.
struct EvaluatePBRF: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pbrf",
        abstract:
            "Train the model with more weight on single sequences, and see whether scores predict what that does.",
        discussion: """
            Finds the proximal Bregman response to some sequences: the parameters that a sequence of more weight would lead \
            to, the model being held to its own outputs and parameters otherwise. Each query's change of log-probability is \
            then correlated with the scores of every estimator. Any checkpoint will do. Responses are kept as records, and a run \
            that was interrupted goes on behind them.

              tributary evaluate pbrf
              tributary evaluate pbrf --model M --queries questions.jsonl --sequences 32
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "Sequences whose response is found: half by words in common with the queries, half at random.")
    var sequences = 64

    @Option(
        parsing: .upToNextOption,
        help: "Which estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)")
    var estimators: [EstimatorKind] = []

    @Option(
        help: """
            How much weight a sequence is given, in copies of it. Influence is what little weight does; too little is \
            lost in rounding.
            """)
    var copies = ResponseComparison.Settings().copies

    @Option(help: "Steps of the minimisation for each response, at most.")
    var iterations = ResponseComparison.Settings().iterations

    @Option(help: "Share of the objective's gradient that may be left where the minimum counts as reached.")
    var tolerance = ResponseComparison.Settings().tolerance

    @Option(help: "Sequences on which the model is held to its outputs, evenly spread. (default: all)")
    var held: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Iterations of LiSSA; several compare it with itself. (default: 200)")
    var lissaIterations: [Int] = []

    @Option(help: "Damping. (default: 0.1 times the mean eigenvalue of each layer)")
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
        let queries = try questions.questions(to: options.location.model)
        let run = try EvaluationRun("pbrf", options)
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
        let result = try ResponseComparison(run.subject, settings: settings, limit: options.limit).run(
            queries, records: run.records, control: run.control)
        try run.finish(result, result.report)
    }
}
