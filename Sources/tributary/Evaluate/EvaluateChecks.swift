import ArgumentParser
import Evaluation

struct EvaluateSanity: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: SanityChecks.name,
        abstract: "Check that scores depend on the weights and on the query, and hardly on the damping.",
        discussion: """
            Scores every sequence for every query with the model, with a model of the same shape and random weights, and with \
            dampings over two orders of magnitude. Also counts the distinct sequences among the top sequences of all queries.

              tributary evaluate sanity
              tributary evaluate sanity --model M --queries questions.jsonl --top 20
            """)

    @OptionGroup var options: EvaluationOptions
    @OptionGroup var questions: QuestionOptions

    @Option(help: "How many of each query's top sequences to look at.")
    var top = 10

    @Option(
        parsing: .upToNextOption,
        help: "The dampings to compare, in units of each layer's mean eigenvalue; queries use 0.1 by default.")
    var dampings = SanityChecks.Settings().dampings

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        guard Set(dampings).count == dampings.count else {
            throw ValidationError("--dampings: expected different numbers, but one is given twice")
        }
        try EvaluationLimits.relativeDampings.check(dampings, of: "--dampings")
        try EvaluationLimits.relativeDamping.check(each: dampings, of: "--dampings")
    }

    func run() throws {
        let queries = try questions.queries(for: options.location.model)
        var settings = SanityChecks.Settings()
        settings.top = top
        settings.dampings = dampings.sorted()
        settings.seed = options.seed
        try options.run { SanityChecks($0, queries, settings: settings) }
    }
}

struct EvaluateTailPatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: TailPatch.name,
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

    @Option(parsing: .upToNextOption, help: "\(EstimatorKind.help)")
    var estimators: [EstimatorKind] = [.ekfac, .identity, .cosine, .tfidf]

    @Option(help: "How far an average step moves the parameters, as a share of their norm.")
    var step = 1e-3

    func validate() throws {
        try EvaluationLimits.top.check(top, of: "--top")
        try EvaluationLimits.step.check(step, of: "--step")
    }

    func run() throws {
        let queries = try questions.queries(for: options.location.model)
        var settings = TailPatch.Settings()
        settings.count = top
        settings.estimators = estimators
        settings.stepShare = step
        settings.seed = options.seed
        settings.solving.seed = options.seed
        try options.run { TailPatch($0, queries, settings: settings) }
    }
}

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
