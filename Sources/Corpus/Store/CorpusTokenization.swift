/// How a corpus turns documents into sequences.
///
/// A store is made for one tokenization and remembers it: sequences cut by another tokenizer, or at another length, are
/// other training sequences, and factors and indexes made for one mean nothing for the other.
public struct CorpusTokenization: Sendable {
    /// What tells this tokenizer from any other, such as a digest of its file. Compared for equality, never parsed.
    public let tokenizerDigest: String

    /// The most tokens a sequence may have, ``prefix`` included.
    public let sequenceLength: Int

    /// Tokens put in front of every sequence: normally none, or the beginning-of-sequence token where the tokenizer's
    /// files ask for it.
    public let prefix: [Int32]

    /// The token ids of a document that follow ``prefix``: without what the text itself spells of the prefix, with the
    /// tokens that end each document where the tokenizer's files ask for some, and none for a text without any of its own.
    /// Called from several threads at once.
    public let encode: @Sendable (String) throws -> [Int32]

    /// Describes a tokenization; ``CorpusStore/init(folder:tokenization:)`` checks it.
    public init(
        tokenizerDigest: String, sequenceLength: Int, prefix: [Int32] = [],
        encode: @escaping @Sendable (String) throws -> [Int32]
    ) {
        self.tokenizerDigest = tokenizerDigest
        self.sequenceLength = sequenceLength
        self.prefix = prefix
        self.encode = encode
    }

    /// What the store keeps of it.
    public var identity: CorpusTokenizationIdentity {
        CorpusTokenizationIdentity(
            tokenizerDigest: tokenizerDigest, sequenceLength: sequenceLength, prefix: prefix)
    }
}

/// The part of a ``CorpusTokenization`` that a store records and compares when it is opened again.
public struct CorpusTokenizationIdentity: Sendable, Equatable {
    /// See ``CorpusTokenization/tokenizerDigest``.
    public let tokenizerDigest: String

    /// See ``CorpusTokenization/sequenceLength``.
    public let sequenceLength: Int

    /// See ``CorpusTokenization/prefix``.
    public let prefix: [Int32]

    /// How many of a document's own tokens fit into one sequence, beside the prefix.
    public var pieceLength: Int { sequenceLength - prefix.count }

    /// Where a document's tokens are cut: ranges of ``pieceLength``, the last one shorter where they end.
    ///
    /// They follow each other without a gap, except where a later piece would start with the prefix, as in a document of
    /// several texts with BOS between them: that piece starts behind it, since every sequence has the prefix once.
    public func pieces(of tokens: [Int32]) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        var start = 0
        while start < tokens.count {
            if start > 0, !prefix.isEmpty, tokens[start...].starts(with: prefix) { start += prefix.count }
            let end = min(start + pieceLength, tokens.count)
            if start < end { pieces.append(start..<end) }
            start = end
        }
        return pieces
    }
}
