import Corpus
import Foundation
import LinearAlgebra
import Transformer

/// Several queries on their way through the engine together.
struct QueryBatch {
    let engine: InfluenceEngine
    let queries: [InfluenceQuery]
    let tokenized: [TokenizedQuery]
    let control: BatchControl
    private let given: GivenTexts

    /// How many of a query's candidates, at least, are scored in Float32 after a sweep in half precision.
    private static let rescoredInFloat32 = 100

    init(
        engine: InfluenceEngine, queries: [InfluenceQuery], tokenized: [TokenizedQuery], control: BatchControl
    ) {
        self.engine = engine
        self.queries = queries.map(Self.asScored)
        self.tokenized = tokenized
        self.control = control
        given = GivenTexts(of: zip(queries, tokenized).map { ($0.candidates.texts ?? [], $1.texts) })
    }

    /// A query that comes with texts wants all of them, each with its full gradient.
    private static func asScored(_ query: InfluenceQuery) -> InfluenceQuery {
        guard let texts = query.candidates.texts else { return query }
        var query = query
        query.direction = .both
        query.topK = texts.count
        query.rescore = texts.count
        return query
    }

    /// The tokens of sequences of the corpus and of given texts, in the order asked for.
    private func tokens(_ rowids: [Int64]) throws -> [[Int32]] {
        guard rowids.contains(where: GivenTexts.isText) else { return try engine.corpus.tokens(rowids: rowids) }
        var kept = try engine.corpus.tokens(rowids: rowids.filter { !GivenTexts.isText($0) }).makeIterator()
        return rowids.compactMap { given[$0]?.tokens ?? kept.next() }
    }

    func isCancelled(_ query: Int) -> Bool { control.isCancelled(query) }

    /// Lets others go first, and ends the batch if no query of it is wanted any more.
    func step(for members: [Int]) throws {
        control.makeRoom()
        if members.allSatisfy(isCancelled) { throw QueryError.cancelled }
    }

    /// One result a query, in order.
    func run() -> [Result<InfluenceResult, QueryError>] {
        guard !queries.isEmpty else { return [] }
        var timings = InfluenceResult.Timings(
            gradients: 0, candidates: 0, sweep: 0, rescore: 0, batchSize: queries.count)
        do {
            let corpusSequences = try engine.corpus.statistics().sequences
            let (gradients, methods, unsolved) = try timed(&timings.gradients) {
                try solvedGradients(asOf: corpusSequences)
            }
            var (candidates, failures) = try timed(&timings.candidates) {
                try selectCandidates(of: corpusSequences, gradients: gradients)
            }
            failures.merge(unsolved) { $1 }
            let active = queries.indices.filter { failures[$0] == nil && !isCancelled($0) }
            var rankings = try timed(&timings.sweep) {
                try sweep(active, gradients: gradients, candidates: candidates, corpusSequences: corpusSequences)
            }
            try timed(&timings.rescore) {
                try rescore(&rankings, gradients: gradients, corpusSequences: corpusSequences)
            }
            let finalTimings = timings
            return queries.indices.map { index in
                if let failure = failures[index] { return .failure(failure) }
                guard !isCancelled(index), let ranking = rankings[index] else { return .failure(.cancelled) }
                return Result {
                    try result(
                        of: index, ranking, gradients[index], methods[index], corpusSequences: corpusSequences,
                        considered: candidates[index].count, finalTimings)
                }.mapError(QueryError.init)
            }
        } catch {
            return queries.indices.map { .failure(isCancelled($0) ? .cancelled : QueryError(error)) }
        }
    }

    private func selectCandidates(
        of corpusSequences: Int, gradients: [QueryGradient]
    ) throws -> ([[Int64]], [Int: QueryError]) {
        report(.candidates, 0, queries.count)
        try extendIndex(to: corpusSequences)
        let requests = queries.indices.map { index in
            CandidateSelector.Request(
                selection: queries[index].candidates, tokens: tokenized[index].tokens,
                completionStart: tokenized[index].completionStart, gradient: gradients[index],
                damping: queries[index].damping, direction: queries[index].direction)
        }
        let found = engine.selector(asOf: corpusSequences).candidates(for: requests)
        var failures: [Int: QueryError] = [:]
        let candidates = found.enumerated().map { index, outcome -> [Int64] in
            do {
                if queries[index].candidates.texts != nil { return given.rowids(of: index) }
                return try outcome.get()
            } catch {
                failures[index] = QueryError(error)
                return []
            }
        }
        report(.candidates, queries.count, queries.count)
        return (candidates, failures)
    }

    /// Indexes what was added to the corpus since the index was last used.
    private func extendIndex(to corpusSequences: Int) throws {
        let members = queries.indices.filter { queries[$0].candidates.needsIndex && !isCancelled($0) }
        guard !members.isEmpty, let index = engine.index.index, index.sequences < corpusSequences else { return }
        let start = index.sequences
        try index.extend(
            to: corpusSequences, of: engine.corpus, decoder: engine.decoder, workers: engine.workers,
            batchTokens: engine.batchTokens,
            progress: { done, total in report(.candidates, done - start, total - start) },
            step: { try step(for: members) })
    }

    /// One sweep over the union of all candidates, with every query's compressed gradient at once.
    private func sweep(
        _ active: [Int], gradients: [QueryGradient], candidates: [[Int64]], corpusSequences: Int
    ) throws -> [Int: Ranking] {
        guard !active.isEmpty else { return [:] }
        let compressed = try engine.precondition(active.map { gradients[$0] }, for: active.map { queries[$0] }) {
            try step(for: active)
        }
        let union = Set(active.flatMap { candidates[$0] }).sorted()
        let rows = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        report(.sweep, 0, union.count)
        var sweep = sweepControl(for: active) { report(.sweep, $0, union.count) }
        sweep.wanted = active.map { query in candidates[query].compactMap { rows[$0] } }
        sweep.checkpoint = checkpoint(of: active, as: active.map { queries[$0] }, breakdown: [], corpusSequences)
        let scores = try engine.sweep(in: engine.precision, tokens).scores(
            of: union, queries: compressed, control: sweep)
        var rankings: [Int: Ranking] = [:]
        for (column, query) in active.enumerated() {
            rankings[query] = Ranking(
                candidates[query].compactMap { rowid in
                    rows[rowid].map { Ranking.Entry(rowid: rowid, score: scores[$0][column]) }
                })
        }
        return rankings
    }

    /// Scores each query's leading candidates again with its full gradient, and breaks down what will be returned.
    private func rescore(
        _ rankings: inout [Int: Ranking], gradients: [QueryGradient], corpusSequences: Int
    ) throws {
        let chosen = rankings.keys.sorted().filter { queries[$0].rescore > 0 && !isCancelled($0) }
        let leading = chosen.map { ($0, rankings[$0]?.leading(queries[$0].rescore, queries[$0].direction) ?? []) }
        let done = try score(leading, rank: .full, &rankings, gradients, corpusSequences, after: 0)
        // What is returned but was not among those scored again is broken down in its compressed form, and so is what may come to
        // be among the returned once the rounding of half precision is gone.
        let rest = rankings.keys.sorted().compactMap { query -> (Int, [Int64])? in
            guard !isCancelled(query) else { return nil }
            let request = queries[query]
            let needsBreakdown = request.attribution.layers || request.attribution.tokens
            let count = max(request.topK, engine.precision == .float32 ? 0 : Self.rescoredInFloat32)
            let leading = Set(rankings[query]?.leading(count, request.direction) ?? [])
            let missing = rankings[query]?.entries.filter {
                leading.contains($0.rowid) && !$0.isRescored
                    && (needsBreakdown || engine.precision != .float32 || $0.score.tokenConcentration == nil)
            }
            return missing.flatMap { $0.isEmpty ? nil : (query, $0.map(\.rowid).sorted()) }
        }
        _ = try score(rest, rank: nil, &rankings, gradients, corpusSequences, after: done)
    }

    /// Scores sequences token by token, each against the queries that want it, as many queries at a time as fit in memory.
    ///
    /// - Parameters:
    ///   - rank: `nil` for each query's own.
    ///   - done: How many sequences the stage has done before.
    /// - Returns: How many it has done then.
    private func score(
        _ entries: [(query: Int, rowids: [Int64])], rank: InfluenceQuery.Rank?, _ rankings: inout [Int: Ranking],
        _ gradients: [QueryGradient], _ corpusSequences: Int, after done: Int
    ) throws -> Int {
        let groups = engine.rescoringGroups(of: Array(entries.indices)).map { $0.map { entries[$0] } }
        let total = done + groups.reduce(0) { $0 + Set($1.flatMap(\.rowids)).count }
        report(.rescore, done, total)
        var done = done
        for group in groups {
            let start = done
            done += try score(group, rank: rank, &rankings, gradients, corpusSequences) {
                report(.rescore, start + $0, total)
            }
        }
        return done
    }

    /// - Returns: How many sequences that were.
    private func score(
        _ entries: [(query: Int, rowids: [Int64])], rank: InfluenceQuery.Rank?, _ rankings: inout [Int: Ranking],
        _ gradients: [QueryGradient], _ corpusSequences: Int, progress: @escaping @Sendable (Int) -> Void
    ) throws -> Int {
        let members = entries.map { entry -> InfluenceQuery in
            var query = queries[entry.query]
            query.rank = rank ?? query.rank
            return query
        }
        let union = Set(entries.flatMap(\.rowids)).sorted()
        guard !union.isEmpty else { return 0 }
        var breakdown: CandidateSweep.Breakdown = .concentration
        if members.contains(where: \.attribution.layers) { breakdown.insert(.layers) }
        if members.contains(where: \.attribution.tokens) { breakdown.insert(.tokens) }
        let indices = entries.map(\.query)
        let preconditioned = try engine.precondition(indices.map { gradients[$0] }, for: members) {
            try step(for: indices)
        }
        let rows = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        var sweep = sweepControl(for: indices, progress: progress)
        sweep.wanted = entries.map { entry in entry.rowids.compactMap { rows[$0] } }
        sweep.checkpoint = checkpoint(of: indices, as: members, breakdown: breakdown, corpusSequences)
        let scores = try engine.sweep(in: .float32, tokens).scores(
            of: union, queries: preconditioned, breakdown: breakdown, control: sweep)
        for (column, entry) in entries.enumerated() {
            var own: [Int64: SequenceScore] = [:]
            for rowid in entry.rowids { own[rowid] = rows[rowid].map { scores[$0][column] } }
            rankings[entry.query]?.replace(own, isRescored: rank != nil)
        }
        return union.count
    }

    /// What a sweep for some of the queries reports and asks.
    private func sweepControl(for members: [Int], progress: @escaping @Sendable (Int) -> Void) -> SweepControl {
        var sweep = SweepControl()
        sweep.progress = progress
        sweep.isCancelled = { control.isCancelled(members[$0]) }
        sweep.makeRoom = control.makeRoom
        return sweep
    }

    /// - Parameter asked: The queries as the sweep scores them.
    private func checkpoint(
        of members: [Int], as asked: [InfluenceQuery], breakdown: CandidateSweep.Breakdown, _ corpusSequences: Int
    ) -> (store: any SweepCheckpoint, queries: [ContentKey])? {
        control.checkpoint.map { store in
            let base = engine.scoringDigest()
            return (
                store,
                zip(members, asked).map {
                    engine.key(
                        of: $1, tokenized[$0], breakdown: breakdown, corpusSequences: corpusSequences, base: base)
                }
            )
        }
    }

    private func result(
        of index: Int, _ ranking: Ranking, _ gradient: QueryGradient, _ method: InfluenceResult.Method,
        corpusSequences: Int, considered: Int,
        _ timings: InfluenceResult.Timings
    ) throws -> InfluenceResult {
        let query = queries[index]
        let tokens = tokenized[index]
        let texts = engine.tokenTexts(tokens.tokens)
        var sequences: [InfluentialSequence] = []
        if query.candidates.texts != nil {
            sequences += try described(ranking.everyProponent(), query, corpusSequences)
            sequences += try described(ranking.everyOpponent(), query, corpusSequences)
        } else {
            if query.direction != .negative {
                sequences += try described(ranking.proponents(query.topK), query, corpusSequences)
            }
            if query.direction != .positive {
                sequences += try described(ranking.opponents(query.topK), query, corpusSequences)
            }
        }
        return InfluenceResult(
            query: InfluenceResult.UnderstoodQuery(
                id: query.id, prompt: query.prompt, completion: query.completion,
                tokens: tokens.tokens.indices.map { position in
                    let place = position - tokens.completionStart
                    return InfluenceResult.QueryToken(
                        id: tokens.tokens[position], text: texts[position],
                        logProbability: place >= 0 ? gradient.logProbabilities[place] : nil)
                },
                completionStart: tokens.completionStart,
                completionStartsInsideToken: tokens.completionStartsInsideToken,
                logProbability: gradient.logProbabilities.reduce(0, +)),
            timings: timings,
            candidates: InfluenceResult.CandidateSummary(
                selection: query.candidates.kind,
                considered: considered, corpusSequences: corpusSequences),
            method: method,
            distribution: ScoreDistribution(ranking.entries.map(\.score.total)),
            sequences: sequences)
    }

    private func described(_ entries: [Ranking.Entry], _ query: InfluenceQuery, _ corpusSequences: Int) throws
        -> [InfluentialSequence]
    {
        let rowids = entries.map(\.rowid)
        let isGiven = query.candidates.texts != nil
        let descriptions = isGiven ? [] : try engine.describe(rowids: rowids)
        let tokens = query.attribution.tokens ? try tokens(rowids) : []
        return entries.indices.map { place in
            let score = entries[place].score
            let description = isGiven ? nil : descriptions[place]
            let text = given[rowids[place]]
            return InfluentialSequence(
                rank: place + 1, id: description?.id ?? text?.id ?? "", index: text?.index,
                text: description?.text ?? text?.text ?? "", source: description?.source ?? text?.source,
                metadata: description?.metadata, score: score.total,
                natsPerCopy: score.total / Double(max(corpusSequences, 1)), spurious: score.isSpurious,
                layers: query.attribution.layers
                    ? score.layers.map { layers in
                        zip(engine.factors.tracked.layers, layers).map {
                            InfluentialSequence.LayerScore(name: $0.name, score: $1)
                        }
                    } : nil,
                tokens: query.attribution.tokens
                    ? score.tokens.map { scores in
                        zip(engine.tokenTexts(tokens[place]), scores).map {
                            InfluentialSequence.TokenScore(text: $0, score: $1)
                        }
                    } : nil)
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
