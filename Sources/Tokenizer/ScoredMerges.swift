/// The merges of a SentencePiece vocabulary, whose tokens have scores in place of a list of merges.
///
/// Any two neighbouring tokens are joined that make a third, those of the highest score first and the leftmost among
/// equals (Kudo and Richardson 2018): every way of cutting a token in two is a merge, with the rank of its score.
struct ScoredMerges {
    /// Longer tokens are not made by merges, lest a file of a few long ones took its length's square to read.
    static let longestToken = 256

    /// In order of rank.
    private(set) var merges: [Merge] = []
    /// One a merge; merges whose tokens have the same score share theirs.
    private(set) var ranks: [Int32] = []

    /// - Parameters:
    ///   - tokens: By id.
    ///   - scores: One a token, none of them NaN.
    ///   - isJoined: Whether merges make a token; special tokens they do not.
    init(tokens: [String], scores: [Float], lookup: TokenLookup, isJoined: (Int) -> Bool) {
        let order = tokens.indices.filter(isJoined).sorted { (scores[$0], $1) > (scores[$1], $0) }
        var rank: Int32 = -1
        var score: Float?
        for identifier in order {
            if scores[identifier] != score {
                rank += 1
                score = scores[identifier]
            }
            let scalars = tokens[identifier].unicodeScalars
            // Of two tokens that are written alike only one is found in text.
            guard tokens[identifier].utf8.count <= Self.longestToken,
                lookup[tokens[identifier]] == Int32(identifier)
            else { continue }
            for place in scalars.indices.dropFirst() {
                guard let left = lookup[String(scalars[..<place])], let right = lookup[String(scalars[place...])],
                    isJoined(Int(left)), isJoined(Int(right))
                else { continue }
                merges.append(Merge(left: left, right: right, merged: Int32(identifier)))
                ranks.append(rank)
            }
        }
    }
}
