import Files
import Foundation
import GRDB
import JSON
import Sequences

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
    /// How rows with a loss mask are tokenised; nil if only plain text can be.
    public var rows: RowTokenization?

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

/// Where rows with prompts or with several turns carry loss.
public enum LossScope: String, Sendable, CaseIterable {
    /// On completions, and on the assistant's turns.
    case responses
    /// On everything.
    case all
}

/// How chats become sequences.
public struct ChatReading: Sendable, Equatable {
    public var loss: LossScope
    /// Whether the first turns of a chat that is longer than a sequence are left out, as few as it takes. Otherwise it is cut at its end.
    public var dropsTurns: Bool

    public init(loss: LossScope = .responses, dropsTurns: Bool = false) {
        self.loss = loss
        self.dropsTurns = dropsTurns
    }
}

/// A chat as the model's chat template writes it.
public struct ChatRow: Sendable {
    public var text: String
    public var sequence: TrainingSequence
    /// How many of its first messages were left out.
    public var droppedMessages: Int

    public init(text: String, sequence: TrainingSequence, droppedMessages: Int = 0) {
        self.text = text
        self.sequence = sequence
        self.droppedMessages = droppedMessages
    }
}

/// How rows whose loss is not on every token are tokenised. Its functions are called from several threads at once.
public struct RowTokenization: Sendable {
    /// Returns the tokens of a text that follow the tokenization's prefix, with loss on those that hold any of the given bytes of the text's
    /// UTF-8 form. No token is added at the end.
    public let encode: @Sendable (_ text: String, _ loss: [Range<Int>]) throws -> TrainingSequence
    /// Returns the text that the model's chat template makes of messages, and its tokens with the special tokens that the template writes
    /// and no others.
    public let chat: @Sendable (_ messages: [JSONTree], ChatReading) throws -> ChatRow
    /// Returns the text that tokens spell. Throws if the model does not have one of them.
    public let decode: @Sendable ([Int32]) throws -> String

    public init(
        encode: @escaping @Sendable (_ text: String, _ loss: [Range<Int>]) throws -> TrainingSequence,
        chat: @escaping @Sendable (_ messages: [JSONTree], ChatReading) throws -> ChatRow,
        decode: @escaping @Sendable ([Int32]) throws -> String
    ) {
        self.encode = encode
        self.chat = chat
        self.decode = decode
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
