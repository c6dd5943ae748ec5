import Curvature
import Foundation
import LinearAlgebra
import Synchronization
import Transformer

/// Compares the scores of estimators with the proximal Bregman response function, which scores promise to predict
/// (Bae et al. 2022; Grosse et al. 2023, section 5.1).
///
///     some sequences -> the response of the parameters to each -> change of each query's log-probability
///                    -> each estimator's scores of the same sequences -> correlations
public struct ResponseComparison: Sendable {
    public struct Settings: Sendable, Codable, Equatable {
        /// Sequences whose response is found: half of those with words in common with the queries, half at random.
        public var sequences = 64
        /// `ε` in copies of a sequence: this over the number of sequences.
        public var copies = 0.05
        /// Steps of the minimisation, at most.
        public var iterations = 100
        /// What may be left of the objective's gradient: ``ProximalBregmanResponse/Options/tolerance``.
        public var tolerance = 0.1
        /// Sequences on which the model is held to its outputs, and of which conjugate gradients and the diagonal have the curvature; nil
        /// for all.
        public var heldSequences: Int?
        /// The estimators, and the damping of all.
        public var solving = EstimatorSettings()
        /// Lengths of LiSSA, each an estimator of its own: it buys accuracy with time.
        public var lissaIterations = [EstimatorSettings().lissaIterations]
        /// Decides which sequences are drawn.
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
    private(set) var settings: Settings
    /// Seconds that the whole may take; nil for as long as it takes.
    let limit: Double?

    public init(_ subject: EvaluationSubject, settings: Settings = Settings(), limit: Double? = 1_800) {
        self.subject = subject
        self.settings = settings
        self.settings.solving.curvatureSequences = settings.heldSequences ?? subject.rowids.count
        self.limit = limit
    }

    /// - Parameter path: Where responses and scores are kept as they are found, and taken up.
    /// - Throws: ``EvaluationError``, ``RunRecordsError``, `SolveError`, or what reading the corpus threw.
    public func run(
        _ queries: [EvaluationQuery], records path: String, control: EvaluationControl = EvaluationControl()
    ) throws -> ResponseResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let solver = EstimatorSolver(subject, settings.solving)
        let places = try chooseSequences(for: measurements, solver)
        let records = try RunRecords<ScoreRecord>(path: path, identity: try identity(queries))
        let response = ProximalBregmanResponse(
            solver.curvature, factors: subject.factors, damping: settings.solving.damping, options)
        try check(places, records, response, solver, queries: queries.count, control)
        try respond(places, measurements, response, records, control)
        for contender in contenders where records[key(contender)] == nil {
            let (scores, cost) = try EstimatorSolver(subject, contender.settings).scores(
                of: measurements, by: contender.estimator, over: places, control.solving(contender.name))
            try records.append(key(contender), ScoreRecord(scores: scores, cost: cost))
        }
        return try result(queries, places, records, seconds: Date().timeIntervalSince(start))
    }

    /// An estimator of some settings.
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

    /// Gradients of the objective in which a minimum is mostly reached.
    private static let usualGradients = 40

    private static func key(_ place: Int) -> String { "sequence \(place)" }

    /// An estimator's scores are of the sequences that were chosen, and those go by how many they are.
    private func key(_ contender: Contender) -> String { "\(contender.name) of \(settings.sequences)" }

    private func identity(_ queries: [EvaluationQuery]) throws -> RunIdentity {
        var settings = settings
        // Others, and more or fewer sequences, may be asked for when a run is taken up.
        settings.solving.estimators = []
        settings.lissaIterations = []
        settings.sequences = 0
        return try RunIdentity(scoresFor: "pbrf", subject, queries, seed: settings.seed, settings: settings)
    }

    /// Half of the sequences by words in common with the queries, each query's best in turn, and half from the rest.
    private func chooseSequences(for measurements: [Measurement], _ solver: EstimatorSolver) throws -> [Int] {
        let everyPlace = Array(subject.rowids.indices)
        let wanted = min(settings.sequences, everyPlace.count)
        let ranked = try measurements.map { measurement in
            let matches = try solver.matches(of: measurement, with: everyPlace)
            return everyPlace.filter { matches[$0] > 0 }.sorted { (matches[$0], $1) > (matches[$1], $0) }
        }
        // A response needs a loss, and a sequence of one token has none.
        func isUsable(_ place: Int) throws -> Bool { (try subject.tokens([place]).first?.count ?? 0) > 1 }
        var chosen: [Int] = []
        for rank in 0..<wanted {
            for matches in ranked where chosen.count < wanted / 2 && rank < matches.count {
                let place = matches[rank]
                if !chosen.contains(place), try isUsable(place) { chosen.append(place) }
            }
        }
        var generator = SplitMix64(seed: settings.seed)
        for place in everyPlace.shuffled(using: &generator) where chosen.count < wanted {
            if !chosen.contains(place), try isUsable(place) { chosen.append(place) }
        }
        return chosen.sorted()
    }

    /// Refuses what would take longer than it may, going by a gradient of the objective and a few products with the curvature.
    private func check(
        _ places: [Int], _ records: RunRecords<ScoreRecord>, _ response: ProximalBregmanResponse,
        _ solver: EstimatorSolver, queries: Int, _ control: EvaluationControl
    ) throws {
        guard let limit else { return }
        var seconds = 0.0
        let missing = places.filter { records[Self.key($0)] == nil }
        if let first = missing.first {
            let gradient = try response.secondsOfAGradient(
                on: try subject.tokens([first])[0], WorkControl(step: control.step))
            seconds =
                gradient * Double(min(settings.iterations, Self.usualGradients)) * Double(missing.count)
                / Double(min(subject.workers.count, missing.count))
        }
        let open = contenders.filter { records[key($0)] == nil }
        for contender in open {
            let expected = try EstimatorSolver(subject, contender.settings).expectedSeconds(
                of: [contender.estimator], step: control.step)
            seconds += (expected[contender.estimator] ?? 0) * Double(queries)
        }
        // Two vectors for each step that is remembered, and the moved parameters.
        let vectors = 2 * min(settings.iterations, ProximalBregmanResponse.memory) + 6
        try EvaluationError.check(
            seconds: seconds, bytes: solver.bytes(of: vectors * subject.workers.count), limit: limit,
            of: "finding \(missing.count) responses and \(open.count) estimators' scores")
    }

    /// Finds the responses that are missing, one a worker at a time.
    private func respond(
        _ places: [Int], _ measurements: [Measurement], _ response: ProximalBregmanResponse,
        _ records: RunRecords<ScoreRecord>, _ control: EvaluationControl
    ) throws {
        let missing = places.filter { records[Self.key($0)] == nil }
        var workspace = DecoderWorkspace()
        let before = measurements.map { $0.logProbability(under: subject.decoder, in: &workspace) }
        let total = places.count * settings.iterations
        let done = Mutex(total - missing.count * settings.iterations)
        _ = try subject.workers.map(0..<missing.count) { _, index in
            let place = missing[index]
            let solving = WorkControl<WorkProgress>(
                progress: { progress in
                    guard progress.done > 0 else { return }
                    let now = done.withLock { done in
                        done += 1
                        return done
                    }
                    control.report("responses", now, of: total)
                }, step: control.step)
            let found = try response.response(to: try subject.tokens([place])[0], control: solving)
            let moved = response.model(after: found)
            var workspace = DecoderWorkspace()
            let scores = zip(measurements, before).map { measurement, before in
                (measurement.logProbability(under: moved, in: &workspace) - before) / response.options.weight
            }
            try records.append(
                Self.key(place), ScoreRecord(scores: [scores], residual: found.residual, seconds: found.cost.seconds))
        }
    }

    private func result(
        _ queries: [EvaluationQuery], _ places: [Int], _ records: RunRecords<ScoreRecord>, seconds: Double
    ) throws -> ResponseResult {
        let found = places.compactMap { records[Self.key($0)] }
        let names = try subject.corpus.sequences(rowids: places.map { subject.rowids[$0] }).map(\.id)
        let responses = queries.indices.map { query in found.map { $0.scores[0][query] } }
        return ResponseResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries, seconds: seconds,
            sequences: names, responses: responses, residuals: found.compactMap(\.residual),
            secondsPerResponse: found.compactMap(\.seconds).reduce(0, +) / Double(max(found.count, 1)),
            estimators: ResponseResult.Estimator.compared(
                contenders.compactMap { contender in
                    records[key(contender)].map { (contender.estimator, $0.scores, $0.cost) }
                }, with: responses, seed: settings.seed))
    }
}
