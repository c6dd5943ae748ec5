import Corpus
import Curvature
import LinearAlgebra
import Sequences
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
        let scores = try engine.sweep(in: .float32, sequences).scores(
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
        let sequences = try sequences(rowids)
        let slots = (0..<engine.workers.count).map { _ in WorkerSlot(OutputTokenScores.Buffers()) }
        return try engine.workers.map(sequences.indices) { worker, index in
            defer { scored() }
            return try slots[worker].withState { buffers in
                try output.scores(of: sequences[index], in: &buffers) { try step(for: [query]) }
            }
        }
    }
}

extension QueryBatch {
    /// Each part's share of a behaviour's own influence on itself, for the queries about behaviours: its prompt and completion are scored as
    /// a training sequence with loss on the completion would be.
    func sharePartsOfBehaviours(
        in rankings: [Int: Ranking], gradients: [QueryGradient], _ failures: inout [Int: QueryError]
    ) throws -> [Int: [Double]] {
        var shares: [Int: [Double]] = [:]
        for query in rankings.keys.sorted() {
            guard queries[query].behaviour != nil, failures[query] == nil, !isCancelled(query) else { continue }
            shares[query] = try work(for: [query]) { try partShares(of: query, gradients, &failures) } ?? nil
        }
        return shares
    }

    private func partShares(
        of query: Int, _ gradients: [QueryGradient], _ failures: inout [Int: QueryError]
    ) throws -> [Double]? {
        var full = queries[query]
        full.rank = .full
        guard let member = try precondition([(query, full)], gradients: gradients, &failures).first else { return nil }
        let parts = tokenized[query].parts
        let sequences = parts.map { TrainingSequence($0.completion) } + parts.compactMap(\.contrast).map { .init($0) }
        let scores = try engine.sweep(in: .float32) { $0.map { sequences[Int($0)] } }.scores(
            of: sequences.indices.map(Int64.init), queries: [member.preconditioned],
            control: WorkControl(step: { try step(for: [query]) })
        ).map { $0[0].total }
        var contrasts = scores[parts.count...]
        let own = zip(parts, scores).map { part, score in
            part.share * (score - (part.contrast == nil ? 0 : contrasts.removeFirst()))
        }
        let total = own.reduce(0, +)
        guard total.isFinite, total != 0 else { return nil }
        return own.map { $0 / total }
    }
}

extension TrainingSequence {
    fileprivate init(_ continuation: TokenizedContinuation) {
        self.init(
            tokens: continuation.tokens,
            loss: LossMask([continuation.completionStart..<continuation.tokens.count]))
    }
}

extension QueryBatch {
    /// All that was computed for one query.
    struct Answer {
        let ranking: Ranking
        let gradient: QueryGradient
        let method: InfluenceResult.Method
        /// The number of candidates.
        let considered: Int
        /// The number of sequences from which the probes were drawn.
        let outside: Int
        /// The scores of each returned sequence's tokens, if asked for.
        let outputTokens: [Int64: [Double]]
        /// What each part of a behaviour contributes to it.
        let partShares: [Double]?
    }

    func result(
        of index: Int, _ answer: Answer, corpusSequences: Int, _ timings: InfluenceResult.Timings
    ) throws -> InfluenceResult {
        let query = queries[index]
        let ranking = answer.ranking
        let (sources, others) = try sources(of: ranking)
        let warnings = query.estimator == .identity ? [] : engine.factors.warnings
        return InfluenceResult(
            query: understood(index, answer), timings: timings,
            candidates: InfluenceResult.CandidateSummary(
                selection: query.candidates.kind, considered: answer.considered, notFinite: ranking.notFinite.count,
                corpusSequences: corpusSequences),
            method: answer.method, warnings: warnings.isEmpty ? nil : warnings,
            distribution: ScoreDistribution(ranking.entries.map(\.score.total)),
            sources: sources, otherSources: others,
            prefilterBias: try query.candidates.probe.map { _ in
                try bias(of: ranking, outside: answer.outside, query)
            },
            sequences: try described(ranking.returned(to: query), query, corpusSequences, answer.outputTokens),
            allScores: query.allScores ? ranking.allScores() : nil)
    }

    private func understood(_ index: Int, _ answer: Answer) -> InfluenceResult.UnderstoodQuery {
        let (query, gradient) = (queries[index], answer.gradient)
        guard query.behaviour == nil else { return behaviour(query, answer) }
        let part = tokenized[index].parts[0]
        let measured = part.measured.map(Set.init)
        var shown = self.shown(part.completion, gradient.logProbabilities)
        if let measured {
            for position in part.completion.completionStart..<shown.count {
                shown[position].measured = measured.contains(position)
            }
        }
        return InfluenceResult.UnderstoodQuery(
            id: query.id, prompt: query.prompt, completion: query.completion, tokens: shown,
            completionStart: part.completion.completionStart,
            completionStartsInsideToken: part.completion.completionStartsInsideToken,
            logProbability: gradient.logProbabilities.reduce(0, +), spans: query.spans,
            contrast: contrast(of: query, part, gradient), measurement: gradient.measurement,
            droppedMessages: query.droppedMessages > 0 ? query.droppedMessages : nil)
    }

    private func behaviour(_ query: InfluenceQuery, _ answer: Answer) -> InfluenceResult.UnderstoodQuery {
        // The gradient of a behaviour of one part is that of its completion.
        let values = answer.gradient.parts.isEmpty ? [answer.gradient.value] : answer.gradient.parts
        let parts = zip(query.parts, values).enumerated().map { index, part in
            InfluenceResult.Part(
                prompt: part.0.prompt, completion: part.0.completion, contrast: part.0.contrast, weight: part.0.weight,
                logProbability: part.1.logProbability, contrastLogProbability: part.1.contrast,
                share: answer.partShares?[index],
                droppedMessages: part.0.droppedMessages > 0 ? part.0.droppedMessages : nil)
        }
        return InfluenceResult.UnderstoodQuery(
            id: query.id, prompt: "", completion: "", tokens: [], completionStart: 0,
            completionStartsInsideToken: false,
            logProbability: zip(query.shares, parts).reduce(0) { $0 + $1.0 * $1.1.logProbability },
            measurement: answer.gradient.measurement, parts: parts, combine: query.combine)
    }

    private func contrast(
        of query: InfluenceQuery, _ part: TokenizedQuery.Part, _ gradient: QueryGradient
    ) -> InfluenceResult.Continuation? {
        guard let completion = query.contrast, let tokens = part.contrast,
            let logProbabilities = gradient.contrastLogProbabilities
        else { return nil }
        return InfluenceResult.Continuation(
            completion: completion, tokens: shown(tokens, logProbabilities), completionStart: tokens.completionStart,
            completionStartsInsideToken: tokens.completionStartsInsideToken,
            logProbability: logProbabilities.reduce(0, +))
    }

    private func shown(
        _ continuation: TokenizedContinuation, _ logProbabilities: [Double]
    ) -> [InfluenceResult.QueryToken] {
        zip(continuation.tokens, engine.tokenizer.tokenTexts(continuation.tokens)).enumerated().map { position, token in
            let index = position - continuation.completionStart
            return InfluenceResult.QueryToken(
                id: token.0, text: token.1, logProbability: index >= 0 ? logProbabilities[index] : nil)
        }
    }

    private func sources(of ranking: Ranking) throws -> ([SourceInfluence], SourceInfluence.Others?) {
        let kept = ranking.entries.filter { !AdHocTexts.isText($0.rowid) }
        let texts = ranking.entries.compactMap { entry in adHoc[entry.rowid].map { ($0.source, entry.score.total) } }
        let sources = try engine.corpus.sources(rowids: kept.map(\.rowid))
        return SourceInfluence.sums(
            of: zip(sources, kept).map { (source: $0, score: $1.score.total) }
                + texts.map { (source: $0.0, score: $0.1) })
    }

    private func bias(of ranking: Ranking, outside: Int, _ query: InfluenceQuery) throws -> PrefilterBias {
        let ranked = ranking.rankedProbes(query.topK, query.direction)
        let shown = ranked.prefix(PrefilterBias.limit)
        let described = try engine.describe(rowids: shown.map(\.entry.rowid))
        return PrefilterBias(
            sample: ranking.probes.map(\.score.total), outside: outside,
            inside: ranking.entries.reduce(0) { $0 + max($1.score.total, 0) }, wouldRank: ranked.count,
            found: zip(shown, described).map { probe, sequence in
                PrefilterBias.Probe(
                    rank: probe.rank, id: sequence.id, source: sequence.source, score: probe.entry.score.total,
                    text: String(sequence.text.prefix(PrefilterBias.Probe.excerpt)))
            })
    }

    private func described(
        _ ranked: [(rank: Int, entry: Ranking.Entry)], _ query: InfluenceQuery, _ corpusSequences: Int,
        _ outputTokens: [Int64: [Double]]
    ) throws -> [InfluentialSequence] {
        let entries = ranked.map(\.entry)
        let rowids = entries.map(\.rowid)
        let isAdHoc = query.candidates.texts != nil
        let descriptions = isAdHoc ? [] : try engine.describe(rowids: rowids)
        let needsTokens = query.attribution.tokens || query.attribution.outputTokens
        let sequences = needsTokens ? try sequences(rowids) : []
        return entries.indices.map { index in
            let score = entries[index].score
            let description = isAdHoc ? nil : descriptions[index]
            let text = adHoc[rowids[index]]
            return InfluentialSequence(
                rank: ranked[index].rank, id: description?.id ?? text?.id ?? "", index: text?.index,
                text: description?.text ?? text?.text ?? "", source: description?.source ?? text?.source,
                metadata: description?.metadata, loss: description?.loss, score: score.total,
                natsPerCopy: score.total / Double(max(corpusSequences, 1)), spurious: score.isSpurious,
                layers: query.attribution.layers
                    ? score.layers.map { layers in
                        zip(engine.factors.tracked.layers, layers).map {
                            InfluentialSequence.LayerScore(name: $0.name, score: $1)
                        }
                    } : nil,
                tokens: query.attribution.tokens
                    ? score.tokens.map { scored(sequences[index].tokens, $0) } : nil,
                outputTokens: outputTokens[rowids[index]].map { scored(sequences[index].tokens, $0) })
        }
    }

    private func scored(_ tokens: [Int32], _ scores: [Double]) -> [InfluentialSequence.TokenScore] {
        zip(engine.tokenizer.tokenTexts(tokens), scores).map { InfluentialSequence.TokenScore(text: $0, score: $1) }
    }
}
