import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// Compares the scores of estimators with the proximal Bregman response function, which scores are meant to predict
/// (Bae et al. 2022; Grosse et al. 2023, section 5.1).
///
///     some sequences -> the response of the parameters to each -> change of each query's log-probability
///                    -> each estimator's scores of the same sequences -> correlations
public struct ResponseComparison: EvaluationStudy {
    public static let name = "pbrf"

    public struct Settings: Sendable, Codable, Equatable {
        /// Sequences whose response is computed: half chosen by lexical overlap with the queries, half at random.
        public var sequences = 64
        /// `ε` in copies of a sequence: `ε` is this over the number of sequences.
        public var copies = 0.05
        /// The most steps of the minimisation.
        public var iterations = 100
        /// The share of the objective's initial gradient at which it ends: ``ProximalBregmanResponse/Options/tolerance``.
        public var tolerance = 0.1
        /// Sequences that keep the model close to its outputs, and that give conjugate gradients and the diagonal their curvature; `nil`
        /// for all.
        public var heldSequences: Int?
        /// The estimators, and their damping.
        public var solving = EstimatorSettings()
        /// Numbers of LiSSA iterations, each of them an estimator: more iterations are more accurate.
        public var lissaIterations = [EstimatorSettings().lissaIterations]
        /// The seed for the sequences that are drawn.
        public var seed: UInt64 = 0

        public init() {}

        enum CodingKeys: String, CodingKey {
            case sequences, copies, iterations, tolerance
            case heldSequences = "held_sequences"
            case solving
            case lissaIterations = "lissa_iterations"
            case seed
        }
    }

    let subject: EvaluationSubject
    let queries: [EvaluationQuery]
    private(set) var settings: Settings

    public init(_ subject: EvaluationSubject, _ queries: [EvaluationQuery], settings: Settings = Settings()) {
        self.subject = subject
        self.queries = queries
        self.settings = settings
        self.settings.solving.curvatureSequences = settings.heldSequences ?? subject.rowids.count
    }

    public func run(_ control: EvaluationControl) throws -> ResponseResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let solver = EstimatorSolver(subject, settings.solving)
        let sequences = try chooseSequences(for: measurements, solver)
        let records = try RunRecords<ScoreRecord>(path: control.records, identity: try identity())
        let response = ProximalBregmanResponse(
            solver.curvature, factors: subject.factors, damping: settings.solving.damping, options)
        try check(sequences, records, response, solver, control)
        try respond(sequences, measurements, response, records, control)
        for contender in contenders where records[key(contender)] == nil {
            let (scores, cost) = try EstimatorSolver(subject, contender.settings).scores(
                of: measurements, by: contender.estimator, over: sequences, control.solving(contender.name))
            try records.append(key(contender), ScoreRecord(scores: scores, cost: cost))
        }
        return try result(sequences, records, seconds: Date().timeIntervalSince(start))
    }

    private struct Contender {
        let estimator: EstimatorKind
        let settings: EstimatorSettings

        var name: String {
            estimator == .lissa ? "lissa, \(settings.lissaIterations) iterations" : estimator.rawValue
        }
    }

    private var contenders: [Contender] {
        settings.solving.estimators.flatMap { estimator in
            guard estimator == .lissa else { return [Contender(estimator: estimator, settings: settings.solving)] }
            return settings.lissaIterations.map { iterations in
                var settings = settings.solving
                settings.lissaIterations = iterations
                return Contender(estimator: estimator, settings: settings)
            }
        }
    }

    private var options: ProximalBregmanResponse.Options {
        .init(
            weight: settings.copies / Double(subject.rowids.count), iterations: settings.iterations,
            tolerance: settings.tolerance, heldSequences: settings.heldSequences)
    }

    /// The number of gradients of the objective that a minimisation usually takes.
    private static let usualGradients = 40

    private static func key(_ sequence: Int) -> String { "sequence \(sequence)" }

    /// An estimator's scores are of the chosen sequences, which their number determines.
    private func key(_ contender: Contender) -> String { "\(contender.name) of \(settings.sequences)" }

    private func identity() throws -> RunIdentity {
        var settings = settings
        // A run that is continued can ask for other estimators, and more or fewer sequences.
        settings.solving.estimators = []
        settings.lissaIterations = []
        settings.sequences = 0
        return try RunIdentity(scoresFor: Self.name, subject, queries, seed: settings.seed, settings: settings)
    }

    /// Half of the sequences by lexical overlap with the queries, each query's best in turn, and half from the others.
    private func chooseSequences(for measurements: [Measurement], _ solver: EstimatorSolver) throws -> [Int] {
        let wanted = min(settings.sequences, subject.sequences.count)
        let ranked = try measurements.map { try solver.ranking(byMatchWith: $0) }
        // A response needs a loss, and a sequence of one token has none.
        func isUsable(_ sequence: Int) throws -> Bool { (try subject.sequences([sequence]).first?.count ?? 0) > 1 }
        var chosen: [Int] = []
        for rank in 0..<wanted {
            for matches in ranked where chosen.count < wanted / 2 && rank < matches.count {
                let sequence = matches[rank]
                if !chosen.contains(sequence), try isUsable(sequence) { chosen.append(sequence) }
            }
        }
        var generator = SplitMix64(seed: settings.seed)
        for sequence in subject.sequences.shuffled(using: &generator) where chosen.count < wanted {
            if !chosen.contains(sequence), try isUsable(sequence) { chosen.append(sequence) }
        }
        return chosen.sorted()
    }

    /// Refuses a run that would take longer than the limit, estimated from a gradient of the objective and a few products with the
    /// curvature.
    private func check(
        _ sequences: [Int], _ records: RunRecords<ScoreRecord>, _ response: ProximalBregmanResponse,
        _ solver: EstimatorSolver, _ control: EvaluationControl
    ) throws {
        guard control.limit != nil else { return }
        var seconds = 0.0
        let missing = sequences.filter { records[Self.key($0)] == nil }
        if let first = missing.first {
            let gradient = try response.secondsOfAGradient(
                on: try subject.sequences([first])[0], WorkControl(step: control.step))
            seconds =
                gradient * Double(min(settings.iterations, Self.usualGradients)) * Double(missing.count)
                / Double(min(subject.workers.count, missing.count))
        }
        let open = contenders.filter { records[key($0)] == nil }
        for contender in open {
            let expected = try EstimatorSolver(subject, contender.settings).expectedSeconds(
                of: [contender.estimator], step: control.step)
            seconds += (expected[contender.estimator] ?? 0) * Double(queries.count)
        }
        // Two vectors per remembered step, and the moved parameters.
        let vectors = 2 * min(settings.iterations, ProximalBregmanResponse.memory) + 6
        try control.check(
            seconds: seconds, bytes: solver.bytes(of: vectors * subject.workers.count),
            of: "finding \(missing.count) responses and \(open.count) estimators' scores")
    }

    /// Computes the missing responses, one per worker at a time.
    private func respond(
        _ sequences: [Int], _ measurements: [Measurement], _ response: ProximalBregmanResponse,
        _ records: RunRecords<ScoreRecord>, _ control: EvaluationControl
    ) throws {
        let missing = sequences.filter { records[Self.key($0)] == nil }
        var workspace = DecoderWorkspace()
        let before = measurements.map { $0.logProbability(under: subject.decoder, in: &workspace) }
        let total = sequences.count * settings.iterations
        let advance = control.counting("responses", from: total - missing.count * settings.iterations, of: total)
        _ = try subject.workers.map(0..<missing.count) { _, index in
            let sequence = missing[index]
            let solving = WorkControl<WorkProgress>(progress: { if $0.done > 0 { advance() } }, step: control.step)
            let found = try response.response(to: try subject.sequences([sequence])[0], control: solving)
            let moved = response.model(after: found)
            var workspace = DecoderWorkspace()
            let scores = zip(measurements, before).map { measurement, before in
                (measurement.logProbability(under: moved, in: &workspace) - before) / response.options.weight
            }
            try records.append(
                Self.key(sequence), ScoreRecord(scores: [scores], residual: found.residual, seconds: found.cost.seconds)
            )
        }
    }

    private func result(
        _ sequences: [Int], _ records: RunRecords<ScoreRecord>, seconds: Double
    ) throws -> ResponseResult {
        let found = sequences.compactMap { records[Self.key($0)] }
        let responses = queries.indices.map { query in found.map { $0.scores[0][query] } }
        return ResponseResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries, seconds: seconds,
            sequences: try subject.identifiers(sequences), responses: responses,
            residuals: found.compactMap(\.residual),
            secondsPerResponse: found.compactMap(\.seconds).reduce(0, +) / Double(max(found.count, 1)),
            estimators: ResponseResult.Estimator.compared(
                contenders.compactMap { contender in
                    records[key(contender)].map { (contender.estimator, $0.scores, $0.cost) }
                }, with: responses, seed: settings.seed))
    }
}
