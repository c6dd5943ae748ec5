import Corpus
import JSON
import LinearAlgebra

/// Chooses which sequences of the corpus are scored for each query of a batch.
struct CandidateSelector: Sendable {
    let corpus: CorpusStore
    let index: IndexAvailability
    /// The corpus is taken as it was when it had so many sequences, so that all queries of a batch choose from the same ones
    /// while others are added.
    let corpusSequences: Int
    let workers: Workers

    /// What is known of a query when candidates are chosen.
    struct Request {
        let selection: CandidateSelection
        /// Prompt, completion, and the completion that it is held against.
        let words: [Int32]
        /// What of these are completions.
        let completions: [Int32]
        /// The tokens of completions, each with the one before it.
        let pairs: Set<SharedWords.Pair>
        let gradient: QueryGradient
        let damping: Double?
        let direction: InfluenceQuery.Direction
    }

    /// The candidates of each query; all that ask the index do so in one pass over it.
    ///
    /// - Returns: Rowids, ascending, none for a query that brings its own texts, or what is wrong with the query:
    ///   ``QueryError/unusable(field:reason:)`` for ids that the corpus does not have, and where there is no index.
    func candidates(for requests: [Request]) -> [Result<[Int64], any Error>] {
        let indexed = Result { try searchIndex(for: requests) }
        // One list for all queries that ask for the same whole, which may be the corpus.
        var wholes: [ExactString?: [Int64]] = [:]
        return requests.indices.map { place in
            Result {
                let request = requests[place]
                let selection = request.selection
                if selection.texts != nil { return [] }
                if let ids = selection.ids { return try named(ids, source: selection.source) }
                switch selection.prefilter {
                case .all:
                    let source = selection.source.map { ExactString($0) }
                    if let whole = wholes[source] { return whole }
                    let whole = try corpus.rowids(source: selection.source, asOf: corpusSequences)
                    wholes[source] = whole
                    return whole
                case .tfidf: return try sharingTerms(with: request, limit: selection.limit).sorted()
                case .index, .both: return try indexed.get()[place] ?? []
                }
            }
        }
    }

    /// Draws sequences that were not chosen, each as likely as any other.
    func probes(of selection: CandidateSelection, besides candidates: [Int64]) throws -> ProbeSample {
        guard let wanted = selection.probe else { return .none }
        let chosen = Set(candidates)
        var outside = try corpus.rowids(source: selection.source, asOf: corpusSequences).filter { !chosen.contains($0) }
        let count = min(wanted, outside.count)
        var random = SplitMix64(seed: selection.probeSeed ?? 0)
        for place in 0..<count { outside.swapAt(place, Int.random(in: place..<outside.count, using: &random)) }
        return ProbeSample(rowids: outside.prefix(count).sorted(), outside: outside.count)
    }

    private func sharingTerms(with request: Request, limit: Int) throws -> [Int64] {
        try corpus.termIndex.search(
            queryTokens: request.words, limit: limit, source: request.selection.source, asOf: corpusSequences
        ).map(\.rowid)
    }

    /// What a query and the corpus share, the completion's tokens counted three times: it is their probability that sequences influence.
    private func sharedWords(of request: Request) -> SharedWords {
        let tokens = request.words + request.completions + request.completions
        return SharedWords(
            scores: { [corpus, corpusSequences] in
                try corpus.termIndex.scores(queryTokens: tokens, asOf: corpusSequences)
            }, pairs: request.pairs, tokens: { [corpus] rowids in try corpus.tokens(rowids: rowids) })
    }

    /// - Returns: What the index finds for each query that asks it, by the query's place.
    private func searchIndex(for requests: [Request]) throws -> [Int: [Int64]] {
        let places = requests.indices.filter { requests[$0].selection.needsIndex }
        guard !places.isEmpty else { return [:] }
        let index = try index.required()
        let queries = try places.map { place in
            let request = requests[place]
            let selection = request.selection
            return index.query(
                request.gradient, damping: request.damping, limit: selection.limit, direction: request.direction,
                words: selection.prefilter == .both ? sharedWords(of: request) : nil,
                within: try selection.source.map { try corpus.rowidRanges(source: $0, asOf: corpusSequences) })
        }
        return Dictionary(
            uniqueKeysWithValues: zip(places, try index.search(queries, asOf: corpusSequences, workers: workers)))
    }

    /// - Throws: ``QueryError/unusable(field:reason:)`` for ids that the corpus does not have.
    func named(_ ids: [String], source: String?) throws -> [Int64] {
        do {
            let named = Set(try corpus.rowids(named: ids))
            guard let source else { return named.sorted() }
            return named.intersection(try corpus.rowids(source: source)).sorted()
        } catch CorpusError.unknownIdentifiers(let names) {
            throw QueryError.unusable(
                field: "candidates.ids",
                reason: "the corpus has no sequence or document \"\(names.first ?? "")\""
                    + (names.count > 1 ? " (nor \(names.count - 1) others)" : ""))
        }
    }
}

/// Sequences that were drawn from those which are no candidates.
struct ProbeSample: Sendable {
    /// Ascending.
    let rowids: [Int64]
    /// How many there were to draw from.
    let outside: Int

    static let none = ProbeSample(rowids: [], outside: 0)
}

extension CandidateSelection {
    /// Whether the gradient index chooses candidates, alone or with others.
    var needsIndex: Bool { ids == nil && texts == nil && (prefilter == .index || prefilter == .both) }
}
