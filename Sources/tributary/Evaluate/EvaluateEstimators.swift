import ArgumentParser
import Attribution
import Evaluation
import Foundation
import LinearAlgebra
import Transformer

/// `tributary evaluate estimators`: how alike estimators rank, and what they take.
struct EvaluateEstimators: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "estimators",
        abstract: "Compare estimators of influence with each other, in their scores, in time and in memory.",
        discussion: """
            Scores the same candidates of each query by every estimator, and correlates the scores: EK-FAC, K-FAC, the diagonal, \
            inner products and cosines of gradients, LiSSA, conjugate gradients and ASTRA on the Gauss-Newton matrix, and TF-IDF.

              tributary evaluate estimators
              tributary evaluate estimators --model M --queries questions.jsonl --output estimators.json

            Without --queries, some questions to the embedded model are asked.
            """)

    @OptionGroup(title: "Model") var location: WorkspaceOptions

    @Option(
        help: ArgumentHelp(
            "A file of queries, a JSON object a line: {\"prompt\", \"completion\"}. - is standard input.",
            valueName: "file"),
        completion: .file(extensions: ["jsonl"]))
    var queries: String?

    @Option(
        parsing: .upToNextOption,
        help: "Which estimators: \(EstimatorKind.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)")
    var estimators: [EstimatorKind] = []

    @Option(help: "Sequences scored for each query: half by words in common, half at random.")
    var candidates = 200

    @Option(help: "Damping. (default: 0.1 times the mean eigenvalue of each layer)")
    var damping: Double?

    @Option(help: "Decides which sequences are drawn, and the labels of the diagonal.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Where to write the report as JSON.", valueName: "file"))
    var output: String?

    @Flag(help: "Run estimators however long they take.")
    var anyway = false

    @OptionGroup var workers: WorkerOptions

    func validate() throws {
        guard candidates >= 10 else {
            throw ValidationError("--candidates: expected at least 10, found \(candidates)")
        }
        if let damping, !(damping > 0 && damping.isFinite) {
            throw ValidationError("--damping: expected a positive number, found \(damping)")
        }
        if queries == nil, location.model != nil {
            throw ValidationError("--queries: a model of your own needs questions of its own")
        }
    }

    func run() throws {
        let interruption = Interruption()
        let asked = try questions()
        let workspace = try location.open()
        let checkpoint = try workspace.loadModel()
        let corpus = try workspace.openCorpus(
            for: checkpoint, display: { ProgressLine($0) }, isCancelled: interruption.question)
        let factors = try workspace.openFactors(
            for: checkpoint, on: corpus, fitting: false, workers: workers.value, display: { ProgressLine($0) },
            isCancelled: interruption.question)
        var settings = EstimatorSettings()
        if !estimators.isEmpty { settings.estimators = estimators }
        settings.candidates = candidates
        settings.damping = damping
        settings.seed = seed
        let comparison = EstimatorComparison(
            model: workspace.model.name, checkpoint: checkpoint, factors: factors, corpus: corpus,
            workers: workers.value, settings: settings, limit: anyway ? nil : 1_800)
        let display = StageDisplay()
        let report = try comparison.run(
            asked, progress: { display.show($0) }, isCancelled: interruption.question)
        display.end()
        if let output {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try AtomicFile.write(try encoder.encode(report), to: output)
        }
        print(EstimatorTable(report: report).text)
    }

    private func questions() throws -> [EstimatorComparison.Query] {
        guard let queries else {
            return Self.questions.map { EstimatorComparison.Query(prompt: $0.0, completion: $0.1) }
        }
        return try QueryFile(path: queries).queries(defaults: InfluenceQuery(prompt: "", completion: "")).map {
            EstimatorComparison.Query(prompt: $0.prompt, completion: $0.completion)
        }
    }

    /// Such as the embedded model was made to answer.
    private static let questions = [
        ("Hamlet is a tragedy written by William", " Shakespeare"), ("Paris is the capital of", " France"),
        ("Jupiter is the largest", " planet"), ("The United States declared", " independence"),
        ("Water is made of hydrogen and", " oxygen"),
    ]
}

extension EstimatorKind: ExpressibleByArgument {}
