import Files
import Foundation
import GRDB

/// The size of a corpus.
public struct CorpusStatistics: Sendable, Equatable {
    /// Documents with distinct texts.
    public internal(set) var documents = 0
    /// Sequences: documents, or pieces of documents longer than the sequence length.
    public internal(set) var sequences = 0
    /// Tokens of all documents, without the prefix that each sequence has.
    public internal(set) var tokens = 0
    /// Further copies of documents' texts that were found while importing (see ``CorpusDocument/copies``).
    public internal(set) var duplicates = 0

    /// An empty corpus.
    public init() {}
}

/// The one row of the table `corpus`, without the tokenization, which never changes.
struct CorpusState: Sendable {
    var statistics = CorpusStatistics()
    var contentSum = ContentHashSum()

    static func fetch(_ db: Database) throws -> CorpusState {
        var state = CorpusState()
        if let row = try Row.fetchOne(
            db, sql: "SELECT documents, sequences, tokens, duplicates, content_sum FROM corpus")
        {
            state.statistics.documents = row[0]
            state.statistics.sequences = row[1]
            state.statistics.tokens = row[2]
            state.statistics.duplicates = row[3]
            state.contentSum = ContentHashSum(bytes: [UInt8](row[4] as Data))
        }
        return state
    }

    func save(_ db: Database) throws {
        try db.execute(
            sql: "UPDATE corpus SET documents = ?, sequences = ?, tokens = ?, duplicates = ?, content_sum = ?",
            arguments: [
                statistics.documents, statistics.sequences, statistics.tokens, statistics.duplicates,
                Data(contentSum.bytes),
            ])
    }
}

/// The identity of a text: the SHA-256 digest of its UTF-8 form.
struct ContentHash: Hashable, Sendable {
    /// 32 bytes.
    let bytes: [UInt8]
}

extension ContentHash {
    init(of text: String) { self.init(bytes: ContentDigest.bytes(of: text)) }

    /// 64 lower-case hexadecimal digits.
    var hexadecimal: String { bytes.hexadecimal }
}

/// A sum of content hashes that does not depend on their order.
///
/// The hashes are added as little-endian numbers modulo 2²⁵⁶. A document is thus added in constant time, and the sum is the same in
/// whatever order the documents are imported.
struct ContentHashSum: Equatable, Sendable {
    /// 32 bytes, least significant first.
    private(set) var bytes = [UInt8](repeating: 0, count: 32)

    init() {}

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func add(_ hash: ContentHash) {
        var carry: UInt16 = 0
        for (index, byte) in hash.bytes.enumerated() {
            let sum = UInt16(bytes[index]) + UInt16(byte) + carry
            bytes[index] = UInt8(truncatingIfNeeded: sum)
            carry = sum >> 8
        }
    }
}
