import Corpus
import Curvature
import LinearAlgebra
import Synchronization
import Transformer

extension QueryBatch {
    /// How many of a query's candidates, at least, are scored in Float32 after a sweep in half precision.
    private static let rescoredInFloat32 = 100

    /// Scores each query's leading candidates again with its full gradient, and breaks down what will be returned.
    ///
    /// - Returns: How many sequences that were.
    func rescore(
        _ rankings: inout [Int: Ranking], gradients: [QueryGradient], corpusSequences: Int,
        _ failures: inout [Int: QueryError]
    ) throws -> Int {
        let chosen = rankings.keys.sorted().filter { queries[$0].rescore > 0 && !isCancelled($0) }
        let leading = chosen.map { ($0, rankings[$0]?.leading(queries[$0].rescore, queries[$0].direction) ?? []) }
        let done = try score(leading, rank: .full, &rankings, gradients, corpusSequences, after: 0, &failures)
        // What is returned but was not among those scored again is broken down in its compressed form, and so is what may come to
        // be among the returned once the rounding of half precision is gone.
        let rest = rankings.keys.sorted().compactMap { query -> (Int, [Int64])? in
            guard failures[query] == nil, !isCancelled(query) else { return nil }
            let request = queries[query]
            let needsBreakdown = request.attribution.layers || request.attribution.tokens
            let count = max(request.topK, engine.precision == .float32 ? 0 : Self.rescoredInFloat32)
            let leading = Set(rankings[query]?.leading(count, request.direction) ?? [])
            let missing = rankings[query].map { $0.entries + $0.probes }?.filter {
                leading.contains($0.rowid) && !$0.isRescored
                    && (needsBreakdown || engine.precision != .float32 || $0.score.tokenConcentration == nil)
            }
            return missing.flatMap { $0.isEmpty ? nil : (query, $0.map(\.rowid).sorted()) }
        }
        return try score(rest, rank: nil, &rankings, gradients, corpusSequences, after: done, &failures)
    }

    /// Scores sequences token by token, each against the queries that want it, as many queries at a time as fit in memory.
    ///
    /// - Parameters:
    ///   - rank: `nil` for each query's own.
    ///   - done: How many sequences the stage has done before.
    /// - Returns: How many it has done then.
    private func score(
        _ entries: [(query: Int, rowids: [Int64])], rank: InfluenceQuery.Rank?, _ rankings: inout [Int: Ranking],
        _ gradients: [QueryGradient], _ corpusSequences: Int, after done: Int, _ failures: inout [Int: QueryError]
    ) throws -> Int {
        let groups = engine.rescoringGroups(of: Array(entries.indices)).map { $0.map { entries[$0] } }
        let total = done + groups.reduce(0) { $0 + Set($1.flatMap(\.rowids)).count }
        report(.rescore, done, total)
        var done = done
        for group in groups {
            let start = done
            done +=
                try work(for: group.map(\.query)) {
                    try score(group, rank: rank, &rankings, gradients, corpusSequences, &failures) {
                        report(.rescore, start + $0, total)
                    }
                } ?? 0
        }
        return done
    }

    /// - Returns: How many sequences that were.
    private func score(
        _ entries: [(query: Int, rowids: [Int64])], rank: InfluenceQuery.Rank?, _ rankings: inout [Int: Ranking],
        _ gradients: [QueryGradient], _ corpusSequences: Int, _ failures: inout [Int: QueryError],
        progress: @escaping @Sendable (Int) -> Void
    ) throws -> Int {
        let wanted = entries.filter { !$0.rowids.isEmpty }
        guard !wanted.isEmpty else { return 0 }
        let members = try precondition(
            wanted.map { entry in
                var query = queries[entry.query]
                query.rank = rank ?? query.rank
                return (entry.query, query)
            }, gradients: gradients, &failures)
        guard !members.isEmpty else { return 0 }
        let entries = wanted.filter { failures[$0.query] == nil }
        let union = Set(entries.flatMap(\.rowids)).sorted()
        var breakdown: CandidateSweep.Breakdown = .concentration
        if members.contains(where: \.asked.attribution.layers) { breakdown.insert(.layers) }
        if members.contains(where: \.asked.attribution.tokens) { breakdown.insert(.tokens) }
        let indices = members.map(\.index)
        let rows = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        var sweep = sweepControl(for: indices, progress: progress)
        sweep.wanted = entries.map { entry in entry.rowids.compactMap { rows[$0] } }
        sweep.checkpoint = checkpoint(of: indices, as: members.map(\.asked), breakdown: breakdown, corpusSequences)
        let scores = try engine.sweep(in: .float32, tokens).scores(
            of: union, queries: members.map(\.preconditioned), breakdown: breakdown, control: sweep)
        for (column, entry) in entries.enumerated() {
            var own: [Int64: SequenceScore] = [:]
            for rowid in entry.rowids { own[rowid] = rows[rowid].map { scores[$0][column] } }
            rankings[entry.query]?.replace(own, isRescored: rank != nil)
        }
        return union.count
    }

    /// What a sweep for some of the queries reports and asks.
    func sweepControl(for members: [Int], progress: @escaping @Sendable (Int) -> Void) -> SweepControl {
        var sweep = SweepControl()
        sweep.progress = progress
        sweep.isCancelled = { control.isCancelled(members[$0]) }
        sweep.makeRoom = control.makeRoom
        return sweep
    }

    /// - Parameter asked: The queries as the sweep scores them.
    func checkpoint(
        of members: [Int], as asked: [InfluenceQuery], breakdown: CandidateSweep.Breakdown, _ corpusSequences: Int
    ) -> (store: any SweepCheckpoint, queries: [ContentKey])? {
        control.checkpoint.map { store in
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

    /// By how much the tokens of the sequences that are returned become likelier, for the queries that want to know.
    ///
    /// One query after the other, so that one direction is in memory at a time.
    ///
    /// - Parameter done: How many sequences the stage has done before.
    /// - Returns: Each token's score, by query and sequence; none for a sequence of which one is not finite.
    func scoreOutputTokens(
        of rankings: [Int: Ranking], gradients: [QueryGradient], after done: Int, _ failures: inout [Int: QueryError]
    ) throws -> [Int: [Int64: [Double]]] {
        let wanted = rankings.keys.sorted().filter {
            queries[$0].attribution.outputTokens && failures[$0] == nil && !isCancelled($0)
        }
        let returned = wanted.map { query in rankings[query]?.returned(to: queries[query]).map(\.entry.rowid) ?? [] }
        let total = done + returned.reduce(0) { $0 + $1.count }
        let progress = Atomic<Int>(done)
        var scores: [Int: [Int64: [Double]]] = [:]
        for (query, rowids) in zip(wanted, returned) where !isCancelled(query) {
            try work(for: [query]) {
                let found = try outputTokens(of: rowids, query, gradients, &failures) {
                    report(.rescore, progress.add(1, ordering: .relaxed).newValue, total)
                }
                let finite = zip(rowids, found).filter { $1.allSatisfy(\.isFinite) }
                scores[query] = Dictionary(finite) { first, _ in first }
            }
        }
        return scores
    }

    private func outputTokens(
        of rowids: [Int64], _ query: Int, _ gradients: [QueryGradient], _ failures: inout [Int: QueryError],
        scored: @Sendable () -> Void
    ) throws -> [[Double]] {
        var full = queries[query]
        full.rank = .full
        guard let member = try precondition([(query, full)], gradients: gradients, &failures).first else { return [] }
        let output = OutputTokenScores(
            decoder: engine.decoder, tracked: engine.factors.tracked,
            direction: ParameterVector(member.preconditioned))
        let sequences = try tokens(rowids)
        let rooms = (0..<engine.workers.count).map { _ in WorkerSlot(OutputTokenScores.Room()) }
        return try engine.workers.map(sequences.indices) { worker, index in
            defer { scored() }
            return try rooms[worker].withState { room in
                try output.scores(of: sequences[index], in: &room) { try step(for: [query]) }
            }
        }
    }
}
