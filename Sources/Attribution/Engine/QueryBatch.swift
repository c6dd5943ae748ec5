import Corpus
import Curvature
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// The queries that share a sweep.
struct QueryBatch {
    let engine: InfluenceEngine
    let queries: [InfluenceQuery]
    let tokenized: [TokenizedQuery]
    let checkpoint: (any SweepCheckpoint)?
    let control: WorkControl<InfluenceProgress>
    let adHoc: AdHocTexts

    init(
        engine: InfluenceEngine, queries: [InfluenceQuery], tokenized: [TokenizedQuery],
        checkpoint: (any SweepCheckpoint)?, control: WorkControl<InfluenceProgress>
    ) {
        self.engine = engine
        self.queries = queries.map(Self.asScored)
        self.tokenized = tokenized
        self.checkpoint = checkpoint
        self.control = control
        adHoc = AdHocTexts(of: zip(queries, tokenized).map { ($0.candidates.texts ?? [], $1.texts) })
    }

    /// A query with ad-hoc texts has all of them scored with its full gradient, and returned.
    private static func asScored(_ query: InfluenceQuery) -> InfluenceQuery {
        guard let texts = query.candidates.texts else { return query }
        var query = query
        query.direction = .both
        query.topK = texts.count
        query.rescore = texts.count
        return query
    }

    /// Sequences of the corpus and ad-hoc texts, in the order of the rowids.
    func sequences(_ rowids: [Int64]) throws -> [TrainingSequence] {
        guard rowids.contains(where: AdHocTexts.isText) else {
            return try engine.corpus.trainingSequences(rowids: rowids)
        }
        var kept = try engine.corpus.trainingSequences(rowids: rowids.filter { !AdHocTexts.isText($0) }).makeIterator()
        return rowids.compactMap { rowid in
            adHoc[rowid].map { TrainingSequence(tokens: $0.tokens) } ?? kept.next()
        }
    }

    func isCancelled(_ query: Int) -> Bool { control.isCancelled(query) }

    /// Lets other work go first, and ends this work if all queries that need it are cancelled.
    func step(for members: [Int]) throws {
        try control.step()
        if members.allSatisfy(isCancelled) { throw QueryError.cancelled }
    }

    /// Does work that only some of the queries need. If all of those are cancelled meanwhile, the work ends and the other queries go on
    /// without it.
    ///
    /// - Returns: `nil` if the work has ended in this way.
    @discardableResult
    func work<Value>(for members: [Int], _ body: () throws -> Value) throws -> Value? {
        do {
            return try body()
        } catch {
            guard members.allSatisfy(isCancelled), !queries.indices.allSatisfy(isCancelled) else { throw error }
            return nil
        }
    }

    /// One result per query, in order.
    func run() -> [Result<InfluenceResult, QueryError>] {
        guard !queries.isEmpty else { return [] }
        var timings = InfluenceResult.Timings(
            gradients: 0, candidates: 0, sweep: 0, rescore: 0, batchSize: queries.count)
        do {
            let corpusSequences = try engine.corpus.statistics().sequences
            var (gradients, methods, unsolved) = try timed(&timings.gradients) {
                try solvedGradients(asOf: corpusSequences)
            }
            var (candidates, failures) = try timed(&timings.candidates) {
                try selectCandidates(of: corpusSequences, gradients: gradients)
            }
            failures.merge(unsolved) { $1 }
            let active = queries.indices.filter { failures[$0] == nil && !isCancelled($0) }
            let probes = try timed(&timings.candidates) {
                try drawProbes(for: active, besides: candidates, corpusSequences: corpusSequences)
            }
            var rankings = try timed(&timings.sweep) {
                try work(for: active) {
                    try sweep(
                        active, gradients: gradients, candidates: candidates, probes: probes,
                        corpusSequences: corpusSequences, &methods, &failures)
                } ?? [:]
            }
            let outputTokens = try timed(&timings.rescore) {
                let done = try rescore(&rankings, gradients: gradients, corpusSequences: corpusSequences, &failures)
                return try scoreOutputTokens(of: rankings, gradients: gradients, after: done, &failures)
            }
            let partShares = try timed(&timings.rescore) {
                try sharePartsOfBehaviours(in: rankings, gradients: gradients, &failures)
            }
            let finalTimings = timings
            return queries.indices.map { index in
                if let failure = failures[index] { return .failure(failure) }
                guard !isCancelled(index), let ranking = rankings[index] else { return .failure(.cancelled) }
                return Result {
                    try result(
                        of: index,
                        Answer(
                            ranking: ranking, gradient: gradients[index], method: methods[index],
                            considered: candidates[index].count, outside: probes[index].outside,
                            outputTokens: outputTokens[index] ?? [:], partShares: partShares[index]),
                        corpusSequences: corpusSequences, finalTimings)
                }.mapError(QueryError.init)
            }
        } catch {
            return queries.indices.map { .failure(isCancelled($0) ? .cancelled : QueryError(error)) }
        }
    }

    // MARK: - Gradients

    /// The queries' gradients, each with its product with the inverse curvature if its estimator iterates to find that.
    private func solvedGradients(
        asOf corpusSequences: Int
    ) throws -> ([QueryGradient], [InfluenceResult.Method], [Int: QueryError]) {
        let iterating = queries.indices.filter { queries[$0].estimator == .astra }
        let total = queries.count + iterating.count * engine.astra.iterations
        report(.gradients, 0, total)
        var gradients = try engine.gradients(of: tokenized) { try step(for: Array(queries.indices)) }
        report(.gradients, queries.count, total)
        var methods = queries.map { InfluenceResult.Method(estimator: $0.estimator) }
        var failures = overflowing(gradients)
        guard !iterating.isEmpty else { return (gradients, methods, failures) }
        let curvature = try engine.curvature(asOf: corpusSequences)
        for (index, query) in iterating.enumerated() where failures[query] == nil {
            let start = queries.count + index * engine.astra.iterations
            let solving = WorkControl<WorkProgress>(
                progress: { report(.gradients, start + $0.done, total) }, step: { try step(for: [query]) })
            do {
                methods[query] = try engine.solve(
                    &gradients[query], for: queries[query], with: curvature, control: solving)
            } catch let error as SolveError {
                failures[query] = .unusable(field: "estimator", reason: "\(error)")
            } catch {
                failures[query] = QueryError(error)
            }
        }
        return (gradients, methods, failures)
    }

    /// The queries whose completions have log-probabilities that are not finite: no score of theirs would be a number.
    private func overflowing(_ gradients: [QueryGradient]) -> [Int: QueryError] {
        var failures: [Int: QueryError] = [:]
        for (index, gradient) in gradients.enumerated() where !gradient.hasFiniteMeasurement {
            failures[index] = .unusable(
                field: "completion",
                reason: "its log-probability is not finite: the model overflows on this prompt and completion, or its "
                    + "weights are damaged")
        }
        return failures
    }

    // MARK: - Candidates

    private func selectCandidates(
        of corpusSequences: Int, gradients: [QueryGradient]
    ) throws -> ([[Int64]], [Int: QueryError]) {
        report(.candidates, 0, queries.count)
        var failures = try extendIndex(to: corpusSequences)
        let requests = queries.indices.map { index in
            CandidateSelector.Request(
                query: queries[index], tokenized: tokenized[index], gradient: gradients[index])
        }
        let found = engine.selector(asOf: corpusSequences).candidates(for: requests)
        let candidates = found.enumerated().map { index, outcome -> [Int64] in
            do {
                if queries[index].candidates.texts != nil { return adHoc.rowids(of: index) }
                return try outcome.get()
            } catch {
                failures[index] = QueryError(error)
                return []
            }
        }
        report(.candidates, queries.count, queries.count)
        return (candidates, failures)
    }

    /// Draws the sequences that are scored beside the candidates; none for queries that are not active.
    private func drawProbes(
        for active: [Int], besides candidates: [[Int64]], corpusSequences: Int
    ) throws -> [ProbeSample] {
        let selector = engine.selector(asOf: corpusSequences)
        return try queries.indices.map { query in
            guard active.contains(query) else { return .none }
            return try selector.probes(of: queries[query].candidates, besides: candidates[query])
        }
    }

    /// Indexes the sequences that were added to the corpus since the index was last used.
    ///
    /// - Returns: The error of each query that needs the index, if it could not be extended.
    /// - Throws: ``QueryError/cancelled`` if all queries are cancelled.
    private func extendIndex(to corpusSequences: Int) throws -> [Int: QueryError] {
        let members = queries.indices.filter { queries[$0].candidates.needsIndex && !isCancelled($0) }
        guard !members.isEmpty, let index = engine.index.index, index.sequences < corpusSequences else { return [:] }
        let start = index.sequences
        do {
            try index.extend(
                to: corpusSequences, of: engine.corpus, decoder: engine.decoder, workers: engine.workers,
                batchTokens: engine.batchTokens,
                progress: { done, total in report(.candidates, done - start, total - start) },
                step: { try step(for: members) })
            return [:]
        } catch {
            if queries.indices.allSatisfy(isCancelled) { throw QueryError.cancelled }
            return Dictionary(uniqueKeysWithValues: members.map { ($0, QueryError(error)) })
        }
    }

    // MARK: - The sweep

    /// Preconditions some queries' gradients, each in the form in which it will be scored.
    ///
    /// - Returns: The queries that have a preconditioned gradient, in order. The others have failed.
    func precondition(
        _ members: [(index: Int, asked: InfluenceQuery)], gradients: [QueryGradient],
        _ failures: inout [Int: QueryError]
    ) throws -> [(index: Int, asked: InfluenceQuery, preconditioned: PreconditionedQuery)] {
        let indices = members.map(\.index)
        let found = try engine.precondition(indices.map { gradients[$0] }, for: members.map(\.asked)) {
            try step(for: indices)
        }
        return zip(members, found).compactMap { member, outcome in
            switch outcome {
            case .success(let preconditioned): return (member.index, member.asked, preconditioned)
            case .failure(let error):
                failures[member.index] = error
                return nil
            }
        }
    }

    /// One sweep over the union of all candidates and probes, with every query's compressed gradient at once.
    private func sweep(
        _ queries: [Int], gradients: [QueryGradient], candidates: [[Int64]], probes: [ProbeSample],
        corpusSequences: Int, _ methods: inout [InfluenceResult.Method], _ failures: inout [Int: QueryError]
    ) throws -> [Int: Ranking] {
        guard !queries.isEmpty else { return [:] }
        let members = try precondition(queries.map { ($0, self.queries[$0]) }, gradients: gradients, &failures)
        let active = members.map(\.index)
        guard !active.isEmpty else { return [:] }
        for member in members { methods[member.index].rank = member.preconditioned.rank }
        let (union, wanted) = arrange(active.map { (candidates[$0], probes[$0].rowids) })
        let rows = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        report(.sweep, 0, union.count)
        let scores = try engine.sweep(in: engine.precision, sequences).scores(
            of: union, queries: members.map(\.preconditioned), wanted: wanted,
            checkpoint: sweepCheckpoint(of: active, as: members.map(\.asked), breakdown: [], corpusSequences),
            control: sweepControl(for: active) { report(.sweep, $0, union.count) })
        var rankings: [Int: Ranking] = [:]
        for (column, query) in active.enumerated() {
            func entries(_ rowids: [Int64]) -> [Ranking.Entry] {
                var entries: [Ranking.Entry] = []
                entries.reserveCapacity(rowids.count)
                for rowid in rowids {
                    guard let row = rows[rowid] else { continue }
                    entries.append(Ranking.Entry(rowid: rowid, score: scores[row][column]))
                }
                return entries
            }
            rankings[query] = Ranking(entries(candidates[query]), probes: entries(probes[query].rowids))
        }
        return rankings
    }

    /// The sequences that any query wants, ascending, and each query's sequences by their indices in that union; no indices if each
    /// query wants all.
    ///
    /// If many queries want the whole corpus, the lists of indices would take as much memory as the scores.
    private func arrange(
        _ queries: [(candidates: [Int64], probes: [Int64])]
    ) -> (union: [Int64], wanted: [[Int]]?) {
        var sequences: Set<Int64> = []
        for query in queries {
            sequences.formUnion(query.candidates)
            sequences.formUnion(query.probes)
        }
        let union = sequences.sorted()
        guard queries.contains(where: { $0.candidates.count + $0.probes.count < union.count }) else {
            return (union, nil)
        }
        let rows = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        let wanted = queries.map { query in
            var indices: [Int] = []
            indices.reserveCapacity(query.candidates.count + query.probes.count)
            for rowid in query.candidates + query.probes {
                if let row = rows[rowid] { indices.append(row) }
            }
            return indices
        }
        return (union, wanted)
    }

    func sweepControl(
        for members: [Int], progress: @escaping @Sendable (Int) -> Void
    ) -> WorkControl<WorkProgress> {
        WorkControl(
            progress: { progress($0.done) }, isCancelled: { control.isCancelled(members[$0]) }, step: control.step)
    }

    /// - Parameter asked: The queries as the sweep scores them.
    func sweepCheckpoint(
        of members: [Int], as asked: [InfluenceQuery], breakdown: CandidateSweep.Breakdown, _ corpusSequences: Int
    ) -> CandidateSweep.Checkpoint? {
        checkpoint.map { store in
            let base = engine.scoringDigest()
            return (
                store,
                zip(members, asked).map {
                    engine.key(
                        of: $1, tokenized[$0], breakdown: breakdown, corpusSequences: corpusSequences, base: base)
                }.distinguishingRepeated()
            )
        }
    }

    func report(_ stage: InfluenceProgress.Stage, _ done: Int, _ total: Int) {
        control.progress(InfluenceProgress(stage: stage, done: done, total: total))
    }

    private func timed<Value>(_ seconds: inout Double, _ work: () throws -> Value) rethrows -> Value {
        let start = Date()
        defer { seconds += Date().timeIntervalSince(start) }
        return try work()
    }
}
