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
    /// files ask for it. ``encode`` must not add them itself.
    public let prefix: [Int32]

    /// The token ids of a text, without any special tokens added. Called from several threads at once.
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

    /// Where a document of `tokenCount` tokens is cut: consecutive ranges, all of ``pieceLength`` but the last.
    public func pieces(ofTokenCount tokenCount: Int) -> [Range<Int>] {
        stride(from: 0, to: tokenCount, by: pieceLength).map { $0..<min($0 + pieceLength, tokenCount) }
    }
}
