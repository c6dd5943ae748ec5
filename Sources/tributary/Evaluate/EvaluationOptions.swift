import ArgumentParser
import Attribution
import Evaluation
import Files
import Foundation
import LinearAlgebra
import Transformer

/// The options that every evaluation has.
struct EvaluationOptions: ParsableArguments {
    @OptionGroup(title: "Model") var location: WorkspaceOptions

    @Option(help: "The seed for everything that is drawn at random.")
    var seed: UInt64 = 0

    @Option(
        help: ArgumentHelp(
            """
            The folder for the result as JSON, the report as HTML, and the records from which an interrupted run continues. \
            (default: evaluation in the workspace)
            """, valueName: "folder"),
        completion: .directory)
    var output: String?

    @Flag(
        help:
            "Run however long it takes. Otherwise, a run that would take over half an hour is refused with an estimate."
    )
    var anyway = false

    @OptionGroup var workers: WorkerOptions

    /// Seconds that an evaluation may take.
    var limit: Double? { anyway ? nil : 1_800 }
}

/// The questions of an evaluation.
struct QuestionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            A file of queries with one JSON object per line: {"prompt", "completion"}. - is standard input. (default: some questions \
            for the embedded model)
            """, valueName: "file"),
        completion: .file(extensions: ["jsonl"]))
    var queries: String?

    func questions(to model: String?) throws -> [EvaluationQuery] {
        guard let queries else {
            guard model == nil else {
                throw ValidationError(
                    "--queries: with --model, give a file of queries: the default ones are for the embedded model")
            }
            return Self.questions.map { EvaluationQuery(prompt: $0.0, completion: $0.1) }
        }
        return try QueryFile(path: queries).queries(defaults: InfluenceQuery(prompt: "", completion: "")).map {
            EvaluationQuery(prompt: $0.prompt, completion: $0.completion)
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

/// One evaluation under way: what it is of, where it writes, what it shows.
struct EvaluationRun {
    let subject: EvaluationSubject
    let options: EvaluationOptions
    private let name: String
    private let folder: URL
    private let display = StageDisplay()
    private let interruption: Interruption
    /// Held for as long as the run: it locks the workspace.
    private let workspace: Workspace

    /// - Parameter name: Of the evaluation's files.
    init(_ name: String, _ options: EvaluationOptions) throws {
        self.name = name
        self.options = options
        interruption = Interruption()
        workspace = try options.location.open()
        folder = options.output.map { URL(fileURLWithPath: $0) } ?? workspace.folder.appending(path: "evaluation")
        let contents = try workspace.openContents(
            fitting: false, workers: options.workers.value, interruption: interruption)
        subject = try EvaluationSubject(
            name: workspace.model.name, checkpoint: contents.checkpoint, factors: contents.factors,
            corpus: contents.corpus, workers: options.workers.value)
        try FileSystem.makeFolder(at: folder.path)
    }

    var control: EvaluationControl {
        EvaluationControl(progress: { [display] in display.show($0) }, isCancelled: interruption.question)
    }

    /// Where the finished parts are kept.
    var records: String { folder.appending(path: "\(name).records.jsonl").path }

    /// Writes JSON and HTML, and prints the tables.
    func finish(_ result: some Encodable, _ report: EvaluationReport) throws {
        display.end()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let json = folder.appending(path: "\(name).json").path
        let html = folder.appending(path: "\(name).html").path
        try AtomicFile.write(try encoder.encode(result), to: json)
        try AtomicFile.write(Data(HTMLReport(report).html.utf8), to: html)
        print(report.text.harmless)
        printError("written: \(json), \(html)")
    }
}
