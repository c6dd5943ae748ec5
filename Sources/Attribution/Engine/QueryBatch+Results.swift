import Corpus

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
    }

    func result(
        of index: Int, _ answer: Answer, corpusSequences: Int, _ timings: InfluenceResult.Timings
    ) throws -> InfluenceResult {
        let query = queries[index]
        let ranking = answer.ranking
        let (sources, others) = try sources(of: ranking)
        return InfluenceResult(
            query: understood(index, answer.gradient), timings: timings,
            candidates: InfluenceResult.CandidateSummary(
                selection: query.candidates.kind, considered: answer.considered, notFinite: ranking.notFinite,
                corpusSequences: corpusSequences),
            method: answer.method, distribution: ScoreDistribution(ranking.entries.map(\.score.total)),
            sources: sources, otherSources: others,
            prefilterBias: try query.candidates.probe.map { _ in
                try bias(of: ranking, outside: answer.outside, query)
            },
            sequences: try described(ranking.returned(to: query), query, corpusSequences, answer.outputTokens))
    }

    private func understood(_ index: Int, _ gradient: QueryGradient) -> InfluenceResult.UnderstoodQuery {
        let query = queries[index]
        let tokens = tokenized[index].completion
        let measured = tokenized[index].measured.map(Set.init)
        var shown = self.shown(tokens, gradient.logProbabilities)
        if let measured {
            for position in tokens.completionStart..<shown.count {
                shown[position].measured = measured.contains(position)
            }
        }
        return InfluenceResult.UnderstoodQuery(
            id: query.id, prompt: query.prompt, completion: query.completion, tokens: shown,
            completionStart: tokens.completionStart, completionStartsInsideToken: tokens.completionStartsInsideToken,
            logProbability: gradient.logProbabilities.reduce(0, +), spans: query.spans,
            contrast: contrast(index, gradient), measurement: gradient.measurement)
    }

    private func contrast(_ index: Int, _ gradient: QueryGradient) -> InfluenceResult.Continuation? {
        guard let completion = queries[index].contrast, let tokens = tokenized[index].contrast,
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

    /// The influence of all candidates, by source.
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
        let tokens = needsTokens ? try tokens(rowids) : []
        return entries.indices.map { index in
            let score = entries[index].score
            let description = isAdHoc ? nil : descriptions[index]
            let text = adHoc[rowids[index]]
            return InfluentialSequence(
                rank: ranked[index].rank, id: description?.id ?? text?.id ?? "", index: text?.index,
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
                    ? score.tokens.map { scored(tokens[index], $0) } : nil,
                outputTokens: outputTokens[rowids[index]].map { scored(tokens[index], $0) })
        }
    }

    private func scored(_ tokens: [Int32], _ scores: [Double]) -> [InfluentialSequence.TokenScore] {
        zip(engine.tokenizer.tokenTexts(tokens), scores).map { InfluentialSequence.TokenScore(text: $0, score: $1) }
    }
}
