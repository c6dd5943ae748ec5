import Corpus

/// The texts that came with the queries of a batch, to be scored as if they were sequences of the corpus.
///
/// Among candidates they have numbers below zero; those of the corpus's sequences are above.
struct GivenTexts: Sendable {
    struct Text: Sendable {
        /// Its place among its query's texts.
        let index: Int
        let text: String
        let tokens: [Int32]

        var id: String { "given-\(index)" }
        var source: String { "given" }
    }

    /// Those of all queries, one query's after the other's.
    private var texts: [Text] = []
    /// Where each query's stand.
    private var places: [Range<Int>] = []

    /// - Parameter queries: Each one's texts, and the tokens of each.
    init(of queries: [(texts: [String], tokens: [[Int32]])]) {
        for query in queries {
            let start = texts.count
            for (index, (text, tokens)) in zip(query.texts, query.tokens).enumerated() {
                texts.append(Text(index: index, text: text, tokens: tokens))
            }
            places.append(start..<texts.count)
        }
    }

    static func isText(_ rowid: Int64) -> Bool { rowid < 0 }

    subscript(rowid: Int64) -> Text? {
        let place = -1 - Int(rowid)
        return texts.indices.contains(place) ? texts[place] : nil
    }

    /// The numbers of a query's texts, ascending.
    func rowids(of query: Int) -> [Int64] { places[query].reversed().map { Int64(-1 - $0) } }

    /// Each text's tokens, as the corpus would keep them.
    ///
    /// - Throws: ``QueryError/unusable(field:reason:)`` for a text without tokens, or one that the corpus would cut in pieces,
    ///   each a sequence of its own.
    static func tokenize(_ texts: [String], for tokenization: CorpusTokenization) throws -> [[Int32]] {
        let room = tokenization.identity.pieceLength
        return try texts.enumerated().map { index, text in
            let tokens = try tokenization.encode(text)
            let field = "candidates.texts[\(index)]"
            guard !tokens.isEmpty else { throw QueryError.unusable(field: field, reason: "it gives no tokens") }
            guard tokens.count <= room else {
                throw QueryError.unusable(
                    field: field,
                    reason: "it has \(tokens.count) tokens; a training sequence has at most \(room): give it in pieces")
            }
            return tokenization.prefix + tokens
        }
    }
}

extension CandidateSelection {
    /// How the candidates were chosen, as a result names it.
    var kind: String {
        if texts != nil { return "texts" }
        return ids == nil ? prefilter.rawValue : "ids"
    }
}
