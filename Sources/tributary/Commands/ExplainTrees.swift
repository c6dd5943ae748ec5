import ArgumentParser
import Evaluation
import Files
import Foundation
import JSON
import Limits
import LinearAlgebra
import Trees

/// `tributary trees`: the influence of training rows on a model of gradient-boosted trees.
struct ExplainTrees: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trees",
        abstract: "Find which training rows made a model of gradient-boosted trees predict as it did.",
        discussion: """
            Reads a LightGBM text model, or an XGBoost model in JSON or UBJSON, and the rows that it was trained on, as CSV, TSV, \
            Parquet or Arrow. Every leaf is computed again from the rows: rows that are not the training rows, and models that are \
            no plain Newton boosters, are refused. Then each training row has a score for each row of --rows:

              tributary trees --model model.txt --train train.csv --target label --rows test.csv

            With --self instead of --rows, each training row has a score on itself; the largest are likely to have wrong labels.
            A positive score means that the training row lowers the loss of the explained row.
            """)

    @Option(
        help: ArgumentHelp("LightGBM's model.txt, or XGBoost's model.json or model.ubj.", valueName: "file"),
        completion: .file(extensions: ["txt", "json", "ubj"]))
    var model: String

    @Option(
        help: ArgumentHelp("The rows that the model was trained on.", valueName: "file"),
        completion: .file(extensions: ["csv", "tsv", "parquet", "arrow", "feather"]))
    var train: String

    @Option(help: ArgumentHelp("The column of labels: numbers; 0 and 1; or 0 to K-1.", valueName: "column"))
    var target: String

    @Option(
        help: ArgumentHelp("The rows to explain, with the same columns.", valueName: "file"),
        completion: .file(extensions: ["csv", "tsv", "parquet", "arrow", "feather"]))
    var rows: String?

    @Flag(name: .customLong("self"), help: "Score each training row on itself.")
    var onSelf = false

    @Option(
        help: """
            boostin (fast), leafinfluence or leafrefit (through all later trees; time grows with the square of the training rows), \
            or trex (a linear model on the leaves).
            """)
    var method = Method.boostin

    @Flag(help: "Use the published formula where it differs from the exact derivative.")
    var asPublished = false

    @Option(help: "How many training rows to show for each row.")
    var top = 20

    @Option(help: "Which scores to rank: positive, negative, or both, by magnitude.")
    var direction = Direction.positive

    @Option(
        help: "table, for people; json, ndjson (one line per row) or csv (one line per training row), for programs.")
    var format = Format.table

    @Option(
        help: ArgumentHelp("Also draw one row's scores in an HTML page.", valueName: "file"),
        completion: .file(extensions: ["html"]))
    var report: String?

    @Option(help: ArgumentHelp("The row of the page, from 1.", valueName: "number"))
    var reportRow = 1

    @Option(help: "XGBoost's learning rate. (default: estimated from the leaves)")
    var learningRate: Double?

    @Option(name: .customLong("l2"), help: "XGBoost's L2 penalty, lambda. (default: estimated from the leaves)")
    var penalty: Double?

    @OptionGroup var color: ColorOptions

    @OptionGroup var workers: WorkerOptions

    enum Method: String, CaseIterable, ExpressibleByArgument { case boostin, leafinfluence, leafrefit, trex }
    enum Direction: String, CaseIterable, ExpressibleByArgument { case positive, negative, both }
    enum Format: String, CaseIterable, ExpressibleByArgument { case table, json, ndjson, csv }

    private static let topLimit = 1...1_000_000
    private static let rateLimit = NumberLimit.above(0, to: 10)
    private static let penaltyLimit = NumberLimit.from(0, to: 1e9)

    func validate() throws {
        guard (rows != nil) != onSelf else { throw ValidationError("give one of these: --rows, --self") }
        guard report == nil || !onSelf else {
            throw ValidationError("--report draws a row of --rows: leave out --self")
        }
        guard !asPublished || method != .leafrefit else {
            throw ValidationError(
                "--as-published: LeafRefit has one formula; the published program is off by one tree. Leave it out")
        }
        try Self.topLimit.check(top, of: "--top")
        try Self.topLimit.check(reportRow, of: "--report-row")
        try Self.rateLimit.check(learningRate, of: "--learning-rate")
        try Self.penaltyLimit.check(penalty, of: "--l2")
    }

    func run() throws {
        let interruption = Interruption()
        let display = StagedProgress()
        defer { display.end() }
        let isInterrupted = interruption.question
        @Sendable func show(_ stage: String, _ unit: String) -> TreesProgress {
            { done, total in
                if isInterrupted() { throw TreesInterruption() }
                display.show(stage, done, of: total, unit: unit)
            }
        }
        var seconds: [(stage: String, value: Double)] = []
        var last = ContinuousClock.now
        func note(_ stage: String) {
            let now = ContinuousClock.now
            seconds.append((stage, (now - last) / .seconds(1)))
            last = now
        }
        let forest = try ModelReader.read(path: model, name: model.escaped)
        let reader = try RowReader(path: train, name: train.escaped, target: target, forest: forest)
        let table = try LeafTable.read(
            reader, forest: forest, workers: workers.value, progress: show("reading rows", "bytes"))
        note("reading")
        let trained = try TrainedForest(
            forest, table: table, rows: train.escaped, rate: learningRate, penalty: penalty, workers: workers.value,
            progress: show("rebuilding leaves", "blocks"))
        note("rebuilding")
        let scorer = TreesScorer(
            trained: trained, method: method, formula: asPublished ? .published : .exact, workers: workers.value,
            progress: show("scoring", "steps"))

        var explained: [TreesResult.Explained] = []
        var drawn: [Double]?
        if let rows {
            let reader = try RowReader(path: rows, name: rows.escaped, target: target, forest: forest)
            let tests = try LeafTable.read(reader, forest: forest, workers: workers.value)
            guard tests.rows > 0 else {
                throw TreesError.badColumns(file: rows.escaped, expected: "at least one row", found: "none")
            }
            guard report == nil || reportRow <= tests.rows else {
                throw ValidationError("--report-row: expected a row from 1 to \(tests.rows), found \(reportRow)")
            }
            let raw = trained.rawPredictions(tests)
            let labels = tests.labels
            try scorer.score(tests) { row, scores in
                let own = Array(raw[row * forest.outputs..<(row + 1) * forest.outputs])
                explained.append(
                    TreesResult.Explained(
                        row: row, label: labels[row], prediction: forest.loss.means(of: own),
                        loss: forest.loss.value(own, label: labels[row]), sum: scores.reduce(0, +),
                        ranked: ranked(scores, labels: table)))
                if report != nil, row + 1 == reportRow { drawn = scores }
            }
        } else {
            let scores = try scorer.scoreOnSelf()
            explained.append(TreesResult.Explained(sum: scores.reduce(0, +), ranked: ranked(scores, labels: table)))
        }
        note("scoring")
        let shown = Set(explained.flatMap { $0.ranked.map(\.row) })
        let values = try RowValues.read(path: train, name: train.escaped, rows: shown)
        let result = TreesResult(
            trained: trained, method: method.rawValue, isPublished: asPublished, explained: explained, values: values,
            seconds: seconds)
        display.end()
        switch format {
        case .table:
            print(TreesTable(style: .standardOutput(hasColor: color.color.choice)).text(of: result), terminator: "")
        case .json: print(result.json.text)
        case .ndjson: for line in result.lines { print(line.text) }
        case .csv: print(result.csv, terminator: "")
        }
        if let report, let drawn, let row = explained.first(where: { $0.row == reportRow - 1 }) {
            let page = HTMLReport(TreesReport(result: result, row: row, scores: drawn).report)
            try AtomicFile.write(Data(page.html.utf8), to: report)
            printError("written: \(report)")
        }
    }

    /// The leading rows, the strongest first; rows of equal scores in their order.
    private func ranked(_ scores: [Double], labels: LeafTable) -> [TreesResult.Ranked] {
        let keys: [Double] =
            switch direction {
            case .positive: scores
            case .negative: scores.map { -$0 }
            case .both: scores.map { abs($0) }
            }
        var best: [Int] = []
        // A sort of all rows is only worth it where many are shown.
        let candidates = keys.indices.filter { keys[$0] > 0 }
        if candidates.count > 20 * top {
            var threshold = -Double.infinity
            for row in candidates where keys[row] > threshold {
                best.append(row)
                if best.count >= 4 * top {
                    best = Array(best.sorted { (keys[$0], $1) > (keys[$1], $0) }.prefix(top))
                    threshold = best.last.map { keys[$0] } ?? threshold
                }
            }
        } else {
            best = candidates
        }
        return best.sorted { (keys[$0], $1) > (keys[$1], $0) }.prefix(top).map {
            TreesResult.Ranked(row: $0, score: scores[$0], label: labels.label(of: $0))
        }
    }
}

/// Scores rows by one of the methods, in batches that fit into memory.
private struct TreesScorer {
    let trained: TrainedForest
    let method: ExplainTrees.Method
    let formula: Formula
    let workers: Workers
    let progress: TreesProgress

    /// The most scores, and leaves of rows to explain, to hold at a time.
    private static let capacity = 1 << 26

    func score(_ tests: LeafTable, _ body: (_ row: Int, _ scores: [Double]) throws -> Void) throws {
        let representers =
            method == .trex ? try Representers(trained, formula: formula, workers: workers, progress: progress) : nil
        let size = max(1, min(Self.capacity / trained.rows, Self.capacity / trained.forest.trees.count))
        for start in stride(from: 0, to: tests.rows, by: size) {
            let batch = tests.rows(start..<min(start + size, tests.rows))
            let scores: [[Double]] =
                switch method {
                case .boostin: try trained.boostIn(on: batch, formula: formula, workers: workers, progress: progress)
                case .leafinfluence:
                    try trained.leafInfluence(on: .rows(batch), formula: formula, workers: workers, progress: progress)
                case .leafrefit: try trained.leafRefit(on: .rows(batch), workers: workers, progress: progress)
                case .trex: try representers?.scores(on: batch, workers: workers, progress: progress) ?? []
                }
            for (index, scores) in scores.enumerated() { try body(start + index, scores) }
        }
    }

    func scoreOnSelf() throws -> [Double] {
        switch method {
        case .boostin: try trained.boostInOnSelf(formula: formula, workers: workers, progress: progress)
        case .leafinfluence:
            try trained.leafInfluence(on: .themselves, formula: formula, workers: workers, progress: progress)[0]
        case .leafrefit: try trained.leafRefit(on: .themselves, workers: workers, progress: progress)[0]
        case .trex:
            try Representers(trained, formula: formula, workers: workers, progress: progress)
                .scoresOnSelf(workers: workers, progress: progress)
        }
    }
}

/// Says that the user ended the work.
struct TreesInterruption: Error, CustomStringConvertible {
    let description = "interrupted"
}
