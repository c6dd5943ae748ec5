/// How large a corpus is.
public struct CorpusStatistics: Sendable, Equatable {
    /// Documents of different text.
    public internal(set) var documents = 0

    /// Sequences: documents, or pieces of documents longer than the sequence length.
    public internal(set) var sequences = 0

    /// Tokens of all documents, without the prefix that each sequence has.
    public internal(set) var tokens = 0

    /// Further copies of documents' texts that were met while importing (see ``CorpusDocument/copies``).
    public internal(set) var duplicates = 0

    /// An empty corpus.
    public init() {}
}
