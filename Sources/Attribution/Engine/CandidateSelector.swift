import Corpus

/// Chooses which sequences of the corpus are scored for a query.
struct CandidateSelector: Sendable {
    let corpus: CorpusStore
    /// The corpus is taken as it was when it had so many sequences, so that all queries of a batch choose from the same ones
    /// while others are added; `nil` for as it is.
    var corpusSequences: Int?

    /// - Parameter tokens: The query's prompt and completion.
    /// - Returns: Rowids, ascending.
    /// - Throws: ``QueryError/unusable(field:reason:)`` for ids that the corpus does not have.
    func candidates(for selection: CandidateSelection, tokens: [Int32]) throws -> [Int64] {
        if let ids = selection.ids { return try named(ids, source: selection.source) }
        switch selection.prefilter {
        case .all:
            return try corpus.rowids(source: selection.source, asOf: corpusSequences)
        case .tfidf:
            return try corpus.termIndex.search(
                queryTokens: tokens, limit: selection.limit, source: selection.source, asOf: corpusSequences
            ).map(\.rowid).sorted()
        }
    }

    private func named(_ ids: [String], source: String?) throws -> [Int64] {
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
