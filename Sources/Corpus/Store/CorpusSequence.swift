/// One training sequence: a document, or a piece of one, as the model sees it.
public struct CorpusSequence: Sendable, Equatable, Identifiable {
    /// The sequence's dense number in the store, from 1. Sequences that are added later have larger ones.
    public let rowid: Int64

    /// The public identifier: the document's where the document is one piece, otherwise `document#piece`.
    public let id: String

    /// The external identifier of the document that the sequence is a piece of.
    public let documentID: String

    /// Which piece of its document the sequence is, from 0.
    public let piece: Int

    /// How many pieces the document has.
    public let pieceCount: Int

    /// How many of the document's tokens come before the piece.
    public let tokenOffset: Int

    /// Where the document is from, as its importer said.
    public let source: String?

    /// The token ids: the tokenization's prefix, then the piece.
    public let tokens: [Int32]
}
