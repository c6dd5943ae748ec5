import ArgumentParser
import Evaluation
import Foundation
import Limits

/// `tributary evaluate findings`: do findings about large models hold of this one?
struct EvaluateFindings: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "findings",
        abstract: "See which findings of Grosse et al. 2023 hold of a model.",
        discussion: """
            How concentrated influence is, in which blocks it lies, whether it depends on the order of words and on dialogue, \
            and, with --models, whether larger models share fewer words with what moves them. Models that are compared must \
            have factors of their own.

              tributary evaluate findings
              tributary evaluate findings --model M --questions questions.json --models SMALLER LARGER
            """)

    @OptionGroup var options: EvaluationOptions

    @Option(
        help: ArgumentHelp(
            """
            A file of questions as JSON: {"kinds": [{"kind", "prompt", "completion"}], "word_order": [{"prompt", "completion", \
            "texts": [{"kind", "text"}]}], "register": […]}. (default: questions to the embedded model)
            """, valueName: "file"),
        completion: .file(extensions: ["json"]))
    var questions: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Further models to compare how abstract their influence is, each with its own workspace.",
            valueName: "folders"))
    var models: [String] = []

    @Option(help: "How many of a query's top sequences are split by blocks.")
    var top = InfluenceFindings.Settings().top

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        if questions == nil, options.location.model != nil {
            throw ValidationError("--questions: a model of your own needs questions of its own")
        }
    }

    func run() throws {
        let asked = try questions.map { try FindingsQuestions(path: $0) } ?? .embedded
        var settings = InfluenceFindings.Settings()
        settings.top = top
        settings.seed = options.seed
        let run = try EvaluationRun("findings", options)
        var result = try InfluenceFindings(run.subject, settings: settings, limit: options.limit).run(
            asked, control: run.control)
        for model in models {
            var other = options
            other.location.model = model
            other.location.workspace = nil
            let compared = try EvaluationRun("findings", other)
            result.scale.append(
                try InfluenceFindings(compared.subject, settings: settings, limit: options.limit).abstraction(
                    of: asked, control: compared.control))
        }
        try run.finish(result, result.report)
    }
}
