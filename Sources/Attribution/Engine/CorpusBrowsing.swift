import JSON

/// Finds and lists the sequences of the corpus.
public protocol CorpusBrowsing: Sendable {
    /// Finds sequences by TF-IDF alone.
    func search(_ text: String, limit: Int) throws -> [SearchHit]

    /// One sequence of the corpus by its id; `nil` if no sequence has that id.
    func sequence(_ id: String) throws -> SequenceDescription?

    /// Sequences in the order in which they were added.
    ///
    /// - Parameters:
    ///   - rowid: The ``SequencePage/next`` of the page before; 0 for the first page.
    ///   - source: If given, only sequences of this source.
    func sequences(after rowid: Int64, source: String?, limit: Int) throws -> SequencePage

    /// The ids of the sequences with these rowids, in the order of the list, which is ascending.
    func identifiers(rowids: [Int64]) throws -> [String]
}

/// A sequence found by TF-IDF.
public struct SearchHit: Sendable, Equatable, Codable {
    public var rank: Int
    /// Equation 28 of Grosse et al. 2023.
    public var score: Double
    public var sequence: SequenceDescription
}

/// A training sequence as the corpus holds it.
public struct SequenceDescription: Sendable, Equatable, Codable {
    public var id: String
    public var documentID: String
    /// The index of this chunk of its document, from 0.
    public var piece: Int
    /// The number of the document's tokens before this chunk.
    public var tokenOffset: Int
    public var tokenCount: Int
    public var text: String
    /// The parts of the text on which training took its loss, in code points; nil if that is all of it.
    public var loss: [CompletionSpan]?
    public var source: String?
    public var metadata: JSONTree?

    enum CodingKeys: String, CodingKey {
        case id
        case documentID = "document_id"
        case piece
        case tokenOffset = "token_offset"
        case tokenCount = "token_count"
        case text, loss, source, metadata
    }
}

/// A page of a list of sequences.
public struct SequencePage: Sendable, Equatable {
    public var sequences: [SequenceDescription]
    /// The `after` of the next page; `nil` on the last one.
    public var next: Int64?
}
