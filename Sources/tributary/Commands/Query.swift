import ArgumentParser
import Attribution
import Curvature
import Foundation
import InfluenceService
import JSON

/// `tributary query`: answers influence queries in this process.
struct Query: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask which training sequences made the model complete a prompt as it did.",
        discussion: """
            Prompt and completion are joined as they are: a completion normally begins with a space.

              tributary query --prompt "Hamlet is a tragedy written by William" --completion " Shakespeare" --top-k 5
              tributary query --prompt "The capital of France is" --completion " Paris" --contrast " London"
              tributary query --chat conversation.json
              tributary query --behaviour refusals.jsonl --top-k 20
              tributary query --queries questions.jsonl --format ndjson > answers.ndjson

            A table marks the tokens that carry most of a sequence's influence; each stands before the token that it predicts. JSON \
            output has the same form as the server's results.
            """)

    @OptionGroup(title: "Model") var location: WorkspaceOptions

    @Option(help: "The text that the model was given.")
    var prompt: String?

    @Option(help: "The text with which the model continued the prompt.")
    var completion: String?

    @Option(
        help: """
            Another completion of the same prompt, or another answer at the end of --chat: scores then say what made the completion \
            likelier than this one.
            """)
    var contrast: String?

    @Option(
        name: .customLong("span"),
        help: ArgumentHelp(
            """
            Explain only this part of the completion: some of its words, or START:END in Unicode code points, counted from 0. Can be \
            given several times.
            """, valueName: "part"))
    var spans: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            A file of queries with one JSON object per line: {"prompt", "completion", and optionally "id"}. A line can also have any \
            other field of a query to the server, which takes precedence over the options given here. - is standard input.
            """, valueName: "file"),
        completion: .file(extensions: ["jsonl"]))
    var queries: String?

    @Option(
        help: ArgumentHelp(
            """
            A file of prompts with completions in which one behaviour shows, with one JSON object per line: {"prompt", "completion", and \
            optionally "contrast" and "weight"}, or {"messages"} in place of the first two. All of them are one question, with one ranking for their mean log-probability.
            """, valueName: "file"),
        completion: .file(extensions: ["jsonl"]))
    var behaviour: String?

    @Option(
        help: ArgumentHelp(
            """
            A file with a chat as JSON: a list of {"role", "content"}, or an object with such "messages". The last message, an \
            assistant's, is the completion. The model's chat template writes the text.
            """, valueName: "file"),
        completion: .file(extensions: ["json"]))
    var chat: String?

    @Option(help: "Whether --behaviour is the mean or the sum of its log-probabilities. (default: mean)")
    var combine: InfluenceQuery.Combination?

    @Flag(
        help: """
            Leave out the first turns of a chat that is longer than the model's context, as few as it takes. A system message before \
            them stays. Otherwise such a chat is refused.
            """)
    var dropTurns = false

    @OptionGroup(title: "Query") var settings: QueryOptions

    @Option(
        name: .customLong("all-scores"),
        help: ArgumentHelp(
            """
            Also write the scores of all candidates to this file, those of zero included: .ndjson or .csv, with a line per candidate; \
            or .npy, an array for NumPy, with the ids beside it in a file that ends in .ids.jsonl. For --queries, the array has a row \
            per query, with NaN where a sequence was not a candidate.
            """, valueName: "file"),
        completion: .file(extensions: ["ndjson", "jsonl", "csv", "npy"]))
    var allScores: String?

    @Option(
        help:
            "table, for people; json, ndjson (one line per query) or csv (one line per sequence), for programs. (default: table)"
    )
    var format: Format?

    @OptionGroup(title: "Table") var table: TableOptions

    @Flag(
        help: """
            If there are no factors, fit them on at most \(FitSettings.briefSequences) sequences. For the embedded model, this is \
            the default.
            """)
    var fit = false

    @OptionGroup var precision: PrecisionOptions

    @OptionGroup var workers: WorkerOptions

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, json, ndjson, csv

        /// The document of this format; `nil` for a table.
        var document: ResultDocument.Format? { ResultDocument.Format(rawValue: rawValue) }
    }

    func validate() throws {
        guard prompt != nil || spans.isEmpty, prompt != nil || chat != nil || contrast == nil else {
            throw ValidationError(
                "--contrast goes with --completion or --chat, and --span with --completion: in a file, each line has its own"
            )
        }
        guard contrast.map({ $0.hasSameBytes(as: completion ?? "") }) != true else {
            throw ValidationError("--contrast: expected another completion than --completion")
        }
        guard combine == nil || behaviour != nil else {
            throw ValidationError("--combine goes with --behaviour")
        }
        guard !dropTurns || behaviour != nil || chat != nil else {
            throw ValidationError(
                "--drop-turns goes with --chat or --behaviour: in a file of queries, a line has its own \"drop_turns\"")
        }
        for span in spans { _ = try position(of: span) }
        guard let allScores else { return }
        _ = try AllScoresFile(path: allScores)
        guard settings.texts.isEmpty else {
            throw ValidationError(
                "--all-scores: texts are all shown with their scores: leave out --text or --all-scores")
        }
    }

    /// Not part of ``validate()``, because that would hide misspelt options, which are only found after it.
    private func checkQuestion() throws {
        let given = [prompt != nil, queries != nil, behaviour != nil, chat != nil].filter(\.self).count
        guard given == 1, (prompt == nil) == (completion == nil) else {
            throw ValidationError(
                "give one of these: --prompt and --completion; --queries; --behaviour; --chat (see tributary query --help)"
            )
        }
    }

    func run() throws {
        try checkQuestion()
        let interruption = Interruption()
        let format = format ?? .table
        var settings = settings
        settings.tokens = settings.tokens || format == .table
        let queries = try queries(settings)

        try precision.value.checkProcessor()
        let workspace = try location.open()
        let contents = try workspace.openContents(fitting: fit, workers: workers.value, interruption: interruption)
        let engine = try workspace.makeEngine(on: contents, precision: precision.value, workers: workers.value)

        let progress = StagedProgress()
        let isCancelled = interruption.question
        let answers = engine.answer(
            queries,
            control: WorkControl(
                progress: { progress.show($0.stage.title, $0.done, of: $0.total, unit: $0.stage.unit) },
                isCancelled: { _ in isCancelled() }))
        progress.end()
        try write(answers, to: queries, as: format)
        if let allScores {
            try AllScoresFile(path: allScores).write(
                answers, to: queries, isList: self.queries != nil, identifiers: engine.identifiers)
        }
        try report(answers, to: queries)
    }

    private func queries(_ settings: QueryOptions) throws -> [InfluenceQuery] {
        var defaults = settings.query(prompt: prompt ?? "", completion: completion ?? "")
        defaults.allScores = allScores != nil
        if let behaviour {
            defaults.behaviour = try QueryFile(path: behaviour).behaviour()
            defaults.combine = combine ?? .mean
            defaults.dropTurns = dropTurns
            defaults.rank = settings.rank ?? .faithful
            return [defaults]
        }
        if let chat {
            defaults.messages = try QueryFile(path: chat).chat()
            defaults.contrast = contrast
            defaults.dropTurns = dropTurns
            return [defaults]
        }
        guard let queries else {
            defaults.contrast = contrast
            defaults.spans = spans.isEmpty ? nil : try spans.map(position)
            return [defaults]
        }
        return try QueryFile(path: queries).queries(defaults: defaults, hasRank: settings.rank != nil)
    }

    private func position(of span: String) throws -> CompletionSpan {
        let completion = completion ?? ""
        let scalars = completion.unicodeScalars
        if !span.isEmpty, let range = scalars.firstRange(of: span.unicodeScalars) {
            return CompletionSpan(
                start: scalars.distance(from: scalars.startIndex, to: range.lowerBound),
                end: scalars.distance(from: scalars.startIndex, to: range.upperBound))
        }
        let numbers = span.split(separator: ":", omittingEmptySubsequences: false).compactMap { Int($0) }
        let length = completion.unicodeScalars.count
        guard numbers.count == 2, 0 <= numbers[0], numbers[0] < numbers[1], numbers[1] <= length else {
            throw ValidationError(
                "--span: expected words of the completion, or START:END within its \(length) characters, found \"\(span)\""
            )
        }
        return CompletionSpan(start: numbers[0], end: numbers[1])
    }

    private func write(
        _ answers: [Result<InfluenceResult, QueryError>], to queries: [InfluenceQuery], as format: Format
    ) throws {
        if let document = format.document {
            // The failure of a single query is reported only on standard error.
            if self.queries == nil, case .failure = answers[0] { return }
            let bytes = try ResultDocument(isList: self.queries != nil, queries: queries, answers: answers)
                .bytes(as: document)
            try FileHandle.standardOutput.write(contentsOf: bytes)
        } else {
            let table = ResultTable(table)
            for case .success(let result) in answers { print(table.text(of: result)) }
        }
    }

    /// Reports the queries that failed, and fails if any did.
    private func report(_ answers: [Result<InfluenceResult, QueryError>], to queries: [InfluenceQuery]) throws {
        guard self.queries != nil else {
            _ = try answers.first?.get()
            return
        }
        var failures = 0
        for (index, answer) in answers.enumerated() {
            guard case .failure(let error) = answer else { continue }
            failures += 1
            let name = queries[index].id.map { "\"\($0)\"" } ?? "\(index + 1)"
            printError("tributary: query \(name): \(ErrorMessage(error))")
        }
        if failures > 0 { throw ExitCode.failure }
    }
}

extension InfluenceProgress.Stage {
    fileprivate var title: String {
        switch self {
        case .gradients: "query gradients"
        case .candidates: "candidates"
        case .sweep: "sweep"
        case .rescore: "rescoring"
        }
    }

    fileprivate var unit: String {
        switch self {
        case .gradients: "steps"
        case .candidates: "queries"
        case .sweep, .rescore: "sequences"
        }
    }
}
