import ArgumentParser
import Attribution
import Evaluation
import Files
import Foundation

struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Check scores against other estimators, and against models that are trained on other data.",
        subcommands: [
            EvaluateEstimators.self, EvaluateLDS.self, EvaluateRemove.self, EvaluateTailPatch.self,
            EvaluateMislabel.self, EvaluatePBRF.self, EvaluateSanity.self, EvaluateFindings.self,
        ])
}

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

    /// Runs a study of the subject that the options name, and shows its progress and its report.
    func run<Study: EvaluationStudy>(_ study: (EvaluationSubject) -> Study) throws {
        let run = try EvaluationRun(Study.name, self)
        try run.finish(try study(run.subject).run(run.control))
    }
}

struct QuestionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            A file of queries with one JSON object per line: {"prompt", "completion"}. - is standard input. (default: some questions \
            for the embedded model)
            """, valueName: "file"),
        completion: .file(extensions: ["jsonl"]))
    var queries: String?

    func queries(for model: String?) throws -> [EvaluationQuery] {
        guard let queries else {
            guard model == nil else {
                throw ValidationError(
                    "--queries: with --model, give a file of queries: the default ones are for the embedded model")
            }
            return Self.embedded.map { EvaluationQuery(prompt: $0.0, completion: $0.1) }
        }
        return try QueryFile(path: queries).queries(defaults: InfluenceQuery(prompt: "", completion: ""))
            .map {
                EvaluationQuery(prompt: $0.prompt, completion: $0.completion)
            }
    }

    /// Questions that the embedded model was made to answer.
    private static let embedded = [
        ("Hamlet is a tragedy written by William", " Shakespeare"), ("Paris is the capital of", " France"),
        ("Jupiter is the largest", " planet"), ("The United States declared", " independence"),
        ("Water is made of hydrogen and", " oxygen"),
    ]
}

extension EstimatorKind: ExpressibleByArgument {
    static let help = "The estimators: \(allCases.map(\.rawValue).joined(separator: ", "))."
}

/// A study under way: its subject, its files, and its display.
struct EvaluationRun {
    let subject: EvaluationSubject
    let control: EvaluationControl
    private let name: String
    private let folder: URL
    private let display = StagedProgress()
    private let interruption = Interruption()
    /// Held for as long as the run: it locks the workspace.
    private let workspace: Workspace

    /// - Parameter name: The name of the study's files.
    init(_ name: String, _ options: EvaluationOptions) throws {
        self.name = name
        workspace = try options.location.open()
        folder = options.output.map { URL(fileURLWithPath: $0) } ?? workspace.folder.appending(path: "evaluation")
        let contents = try workspace.openContents(
            fitting: false, workers: options.workers.value, interruption: interruption)
        subject = try EvaluationSubject(
            name: workspace.model.name, checkpoint: contents.checkpoint, factors: contents.factors,
            corpus: contents.corpus, workers: options.workers.value)
        try FileSystem.makeFolder(at: folder.path)
        control = EvaluationControl(
            records: folder.appending(path: "\(name).records.jsonl").path, limit: options.anyway ? nil : 1_800,
            progress: { [display] in display.show($0.stage, $0.done, of: $0.total, unit: "steps") },
            isCancelled: interruption.question)
    }

    /// Writes the result as JSON and its report as HTML, and prints the report's tables.
    func finish(_ result: some EvaluationResult) throws {
        display.end()
        let report = result.report
        let json = folder.appending(path: "\(name).json").path
        let html = folder.appending(path: "\(name).html").path
        try AtomicFile.write(try result.json, to: json)
        try AtomicFile.write(Data(HTMLReport(report).html.utf8), to: html)
        print(report.text.harmless)
        printError("written: \(json), \(html)")
    }
}
