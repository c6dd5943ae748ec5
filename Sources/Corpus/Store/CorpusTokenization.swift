import Files
import Foundation
import GRDB

/// How a corpus turns documents into sequences.
///
/// A store is made for one tokenization and records it: another tokenizer or another length produces other training sequences, and
/// factors and indexes made for one are meaningless for the other.
public struct CorpusTokenization: Sendable {
    /// Identifies the tokenizer, such as a digest of its file. Compared for equality, never parsed.
    public let tokenizerDigest: String
    /// The most tokens that a sequence can have, ``prefix`` included.
    public let sequenceLength: Int
    /// The tokens in front of every sequence: normally none, or the beginning-of-sequence token where the tokenizer's files ask for
    /// it.
    public let prefix: [Int32]
    /// Returns the token ids of a document that follow ``prefix``. A prefix that the text itself spells out is dropped, the tokens that
    /// end each document are included where the tokenizer's files ask for some, and a text without tokens of its own gives none.
    /// Called from several threads at once.
    public let encode: @Sendable (String) throws -> [Int32]

    /// ``CorpusStore/init(folder:tokenization:)`` checks the values.
    public init(
        tokenizerDigest: String, sequenceLength: Int, prefix: [Int32] = [],
        encode: @escaping @Sendable (String) throws -> [Int32]
    ) {
        self.tokenizerDigest = tokenizerDigest
        self.sequenceLength = sequenceLength
        self.prefix = prefix
        self.encode = encode
    }

    /// The part that a store records.
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

    /// The number of a document's own tokens that fit into one sequence, in addition to the prefix.
    public var pieceLength: Int { sequenceLength - prefix.count }

    /// The ranges into which a document's tokens are split: ``pieceLength`` tokens each, the last one perhaps fewer.
    ///
    /// They follow each other without a gap, except where a later piece would start with the prefix, as in a document of several texts
    /// with BOS between them: that piece starts after the prefix, since every sequence has the prefix once.
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

extension CorpusTokenizationIdentity {
    /// The identity that the corpus records; nil while the corpus is being created.
    static func fetch(_ db: Database) throws -> CorpusTokenizationIdentity? {
        try Row.fetchOne(db, sql: "SELECT tokenizer_digest, sequence_length, prefix FROM corpus").map { row in
            CorpusTokenizationIdentity(
                tokenizerDigest: row[0], sequenceLength: row[1],
                prefix: (row[2] as Data).littleEndianNumbers(Int32.self))
        }
    }

    func insert(_ db: Database) throws {
        try db.execute(
            sql: "INSERT INTO corpus VALUES (1, ?, ?, ?, 0, 0, 0, 0, ?)",
            arguments: [
                tokenizerDigest, sequenceLength, Data(prefix.littleEndianBytes), Data(ContentHashSum().bytes),
            ])
    }
}
