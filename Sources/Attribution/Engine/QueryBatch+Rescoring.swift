import Corpus
import Curvature
import LinearAlgebra
import Synchronization
import Transformer

extension QueryBatch {
    /// The least number of a query's candidates that are scored in Float32 after a sweep in half precision.
    private static let rescoredInFloat32 = 100

    /// Scores each query's leading candidates again with its full gradient, and breaks down the scores that will be returned.
    ///
    /// - Returns: How many sequences were scored again.
    func rescore(
        _ rankings: inout [Int: Ranking], gradients: [QueryGradient], corpusSequences: Int,
        _ failures: inout [Int: QueryError]
    ) throws -> Int {
        let chosen = rankings.keys.sorted().filter { queries[$0].rescore > 0 && !isCancelled($0) }
        let leading = chosen.map { ($0, rankings[$0]?.leading(queries[$0].rescore, queries[$0].direction) ?? []) }
        let done = try score(leading, rank: .full, &rankings, gradients, corpusSequences, after: 0, &failures)
        // Sequences that are returned without having been scored again are broken down with the compressed gradient. So are those that
        // could be returned once the rounding of half precision is gone.
        let remaining = rankings.keys.sorted().compactMap { query -> (Int, [Int64])? in
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
        return try score(remaining, rank: nil, &rankings, gradients, corpusSequences, after: done, &failures)
    }

    /// Scores sequences token by token, each against the queries that want it, as many queries at a time as fit in memory.
    ///
    /// - Parameters:
    ///   - rank: The rank of all gradients; `nil` for each query's own.
    ///   - done: How many sequences the stage has done before.
    /// - Returns: How many sequences the stage has done afterwards.
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

    /// - Returns: How many sequences were scored.
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
        let scores = try engine.sweep(in: .float32, tokens).scores(
            of: union, queries: members.map(\.preconditioned), breakdown: breakdown,
            wanted: entries.map { entry in entry.rowids.compactMap { rows[$0] } },
            checkpoint: sweepCheckpoint(of: indices, as: members.map(\.asked), breakdown: breakdown, corpusSequences),
            control: sweepControl(for: indices, progress: progress))
        for (column, entry) in entries.enumerated() {
            var own: [Int64: SequenceScore] = [:]
            for rowid in entry.rowids { own[rowid] = rows[rowid].map { scores[$0][column] } }
            rankings[entry.query]?.replace(own, isRescored: rank != nil)
        }
        return union.count
    }

    /// Scores the tokens of the returned sequences by how much they become likelier, for the queries that ask for it.
    ///
    /// Queries are taken one after the other, so that only one direction is in memory at a time.
    ///
    /// - Parameter done: How many sequences the stage has done before.
    /// - Returns: Each token's score, by query and sequence; none for a sequence with a score that is not finite.
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
        let slots = (0..<engine.workers.count).map { _ in WorkerSlot(OutputTokenScores.Buffers()) }
        return try engine.workers.map(sequences.indices) { worker, index in
            defer { scored() }
            return try slots[worker].withState { buffers in
                try output.scores(of: sequences[index], in: &buffers) { try step(for: [query]) }
            }
        }
    }
}
