import ArgumentParser
import Evaluation
import Limits

/// `tributary evaluate tailpatch`: one training step on each top sequence.
struct EvaluateTailPatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tailpatch",
        abstract:
            "Take one training step on each of a query's top sequences, and see how much likelier its completion becomes.",
        discussion: """
            No model is trained from scratch: any checkpoint will do.

              tributary evaluate tailpatch
              tributary evaluate tailpatch --model M --queries questions.jsonl
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many of each query's top sequences to look at.")
    var top = 10

    @Option(
        parsing: .upToNextOption,
        help: "The estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var estimators: [EstimatorKind] = [.ekfac, .identity, .cosine, .tfidf]

    @Option(help: "How far an average step moves the parameters, as a share of their norm.")
    var step = 1e-3

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        try EvaluationLimits.step.check(step, of: "--step")
    }

    func run() throws {
        let queries = try questions.questions(to: options.location.model)
        let run = try EvaluationRun("tailpatch", options)
        var settings = TailPatch.Settings()
        settings.count = top
        settings.estimators = estimators
        settings.stepShare = step
        settings.seed = options.seed
        settings.solving.seed = options.seed
        let result = try TailPatch(run.subject, settings: settings).run(queries, control: run.control)
        try run.finish(result, result.report)
    }
}
