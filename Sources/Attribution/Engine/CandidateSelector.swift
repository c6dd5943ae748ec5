import Corpus
import JSON
import LinearAlgebra

/// Chooses the sequences of the corpus that are scored for each query of a query batch.
struct CandidateSelector: Sendable {
    let corpus: CorpusStore
    let index: IndexAvailability
    /// How many of the corpus's first sequences can be chosen. All queries of a batch thus choose from the same sequences while others are
    /// added.
    let corpusSequences: Int
    let workers: Workers

    struct Request {
        let query: InfluenceQuery
        let tokenized: TokenizedQuery
        let gradient: QueryGradient

        var selection: CandidateSelection { query.candidates }
    }

    /// The candidates of each query. All queries that need the index share one pass over it.
    ///
    /// - Returns: For each query, its rowids in ascending order, or none if it comes with ad-hoc texts; or the query's error, which is
    ///   ``QueryError/unusable(field:reason:)`` if the corpus does not have its ids, or there is no index.
    func candidates(for requests: [Request]) -> [Result<[Int64], any Error>] {
        let indexed = Result { try searchIndex(for: requests) }
        // Queries that ask for all sequences of the same source, or of the corpus, share one list.
        var wholes: [ExactString?: [Int64]] = [:]
        return requests.indices.map { index in
            Result {
                let request = requests[index]
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
                case .index, .both: return try indexed.get()[index] ?? []
                }
            }
        }
    }

    /// Draws sequences that were not chosen, all with the same probability.
    func probes(of selection: CandidateSelection, besides candidates: [Int64]) throws -> ProbeSample {
        guard let wanted = selection.probe else { return .none }
        let chosen = Set(candidates)
        var outside = try corpus.rowids(source: selection.source, asOf: corpusSequences).filter { !chosen.contains($0) }
        let count = min(wanted, outside.count)
        var random = SplitMix64(seed: selection.probeSeed ?? 0)
        for index in 0..<count { outside.swapAt(index, Int.random(in: index..<outside.count, using: &random)) }
        return ProbeSample(rowids: outside.prefix(count).sorted(), outside: outside.count)
    }

    private func sharingTerms(with request: Request, limit: Int) throws -> [Int64] {
        try corpus.termIndex.search(
            queryTokens: request.tokenized.tokens, limit: limit, source: request.selection.source,
            asOf: corpusSequences
        ).map(\.rowid)
    }

    /// The lexical overlap of the corpus with a query. The tokens of completions count three times, as it is their probability that
    /// sequences influence.
    private func lexicalOverlap(of request: Request) -> LexicalOverlap {
        let (query, completions) = (request.tokenized, request.tokenized.completions)
        let tokens = query.tokens + completions + completions
        return LexicalOverlap(
            scores: { [corpus, corpusSequences] in
                try corpus.termIndex.scores(queryTokens: tokens, asOf: corpusSequences)
            }, pairs: Set(query.pairs), tokens: { [corpus] rowids in try corpus.tokens(rowids: rowids) })
    }

    /// - Returns: The sequences that the index finds for each query that needs it, by the query's index.
    private func searchIndex(for requests: [Request]) throws -> [Int: [Int64]] {
        let needing = requests.indices.filter { requests[$0].selection.needsIndex }
        guard !needing.isEmpty else { return [:] }
        let index = try index.required()
        let queries = try needing.map { query in
            let request = requests[query]
            let selection = request.selection
            return index.query(
                request.gradient, damping: request.query.damping, limit: selection.limit,
                direction: request.query.direction,
                overlap: selection.prefilter == .both ? lexicalOverlap(of: request) : nil,
                within: try selection.source.map { try corpus.rowidRanges(source: $0, asOf: corpusSequences) })
        }
        return Dictionary(
            uniqueKeysWithValues: zip(needing, try index.search(queries, asOf: corpusSequences, workers: workers)))
    }

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

/// Sequences that were drawn from those that are not candidates.
struct ProbeSample: Sendable {
    /// Ascending.
    let rowids: [Int64]
    /// The number of sequences that are not candidates.
    let outside: Int

    static let none = ProbeSample(rowids: [], outside: 0)
}

extension CandidateSelection {
    var needsIndex: Bool { ids == nil && texts == nil && (prefilter == .index || prefilter == .both) }

    /// The name that a result gives to the way in which candidates were chosen.
    var kind: String {
        if texts != nil { return "texts" }
        return ids == nil ? prefilter.rawValue : "ids"
    }
}

/// The ad-hoc texts of a query batch, which are scored as if they were sequences of the corpus.
///
/// As candidates they have negative rowids, while the corpus's sequences have positive ones.
struct AdHocTexts: Sendable {
    struct Text: Sendable {
        /// The text's index among its query's texts.
        let index: Int
        let text: String
        let tokens: [Int32]

        var id: String { "given-\(index)" }
        var source: String { "given" }
    }

    private var texts: [Text] = []
    private var ranges: [Range<Int>] = []

    init(of queries: [(texts: [String], tokens: [[Int32]])]) {
        for query in queries {
            let start = texts.count
            for (index, (text, tokens)) in zip(query.texts, query.tokens).enumerated() {
                texts.append(Text(index: index, text: text, tokens: tokens))
            }
            ranges.append(start..<texts.count)
        }
    }

    static func isText(_ rowid: Int64) -> Bool { rowid < 0 }

    subscript(rowid: Int64) -> Text? {
        let index = -1 - Int(rowid)
        return texts.indices.contains(index) ? texts[index] : nil
    }

    /// The rowids of a query's texts, ascending.
    func rowids(of query: Int) -> [Int64] { ranges[query].reversed().map { Int64(-1 - $0) } }

    /// Each text's tokens, as the corpus would keep them.
    ///
    /// - Throws: ``QueryError/unusable(field:reason:)`` for a text without tokens, or one that the corpus would split into several
    ///   sequences.
    static func tokenize(_ texts: [String], for tokenization: CorpusTokenization) throws -> [[Int32]] {
        let limit = tokenization.identity.pieceLength
        return try texts.enumerated().map { index, text in
            let tokens = try tokenization.encode(text)
            let field = "candidates.texts[\(index)]"
            guard !tokens.isEmpty else { throw QueryError.unusable(field: field, reason: "it gives no tokens") }
            guard tokens.count <= limit else {
                throw QueryError.unusable(
                    field: field,
                    reason: "it has \(tokens.count) tokens; a training sequence has at most \(limit): split it")
            }
            return tokenization.prefix + tokens
        }
    }
}
