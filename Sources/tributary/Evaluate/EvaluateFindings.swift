import ArgumentParser
import Evaluation

struct EvaluateFindings: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: InfluenceFindings.name,
        abstract: "See which findings of Grosse et al. 2023 hold for a model.",
        discussion: """
            Measures how concentrated influence is, in which blocks it lies, whether it depends on word order and on dialogue, \
            and, with --models, whether larger models have less lexical overlap with the sequences that influence them. Each model \
            needs fitted factors.

              tributary evaluate findings
              tributary evaluate findings --model M --questions questions.json --models SMALLER LARGER
            """)

    @OptionGroup var options: EvaluationOptions

    @Option(
        help: ArgumentHelp(
            """
            A file of questions as JSON: {"kinds": [{"kind", "prompt", "completion"}], "word_order": [{"prompt", "completion", \
            "texts": [{"kind", "text"}]}], "register": […]}. (default: questions for the embedded model)
            """, valueName: "file"),
        completion: .file(extensions: ["json"]))
    var questions: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Other models to compare by how abstract their influence is, each with its own workspace.",
            valueName: "folders"))
    var models: [String] = []

    @Option(help: "How many of each query's top sequences to break down by block.")
    var top = InfluenceFindings.Settings().top

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        if questions == nil, options.location.model != nil {
            throw ValidationError(
                "--questions: with --model, give a file of questions: the default ones are for the embedded model")
        }
    }

    func run() throws {
        let asked = try questions.map { try FindingsQuestions(path: $0) } ?? .embedded
        var settings = InfluenceFindings.Settings()
        settings.top = top
        settings.seed = options.seed
        func study(of subject: EvaluationSubject) -> InfluenceFindings {
            InfluenceFindings(subject, asked, settings: settings)
        }
        let run = try EvaluationRun(InfluenceFindings.name, options)
        var result = try study(of: run.subject).run(run.control)
        for model in models {
            var other = options
            other.location.model = model
            other.location.adapter = nil
            other.location.workspace = nil
            let compared = try EvaluationRun(InfluenceFindings.name, other)
            result.scale.append(try study(of: compared.subject).abstraction(compared.control))
        }
        try run.finish(result)
    }
}
