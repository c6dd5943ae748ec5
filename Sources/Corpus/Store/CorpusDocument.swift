/// One document of a corpus, kept once however often its text was imported.
public struct CorpusDocument: Sendable, Equatable, Identifiable {
    /// The most bytes, in UTF-8, of an identifier and of a source.
    ///
    /// Both are asked for by URL, where each byte can take three (`%2F`), and RFC 9110 section 4.1 wants URLs of 8,000 bytes to work.
    /// A corpus that was made with longer ones can still be used.
    public static let maximumNameBytes = 2_048

    /// The external identifier under which the text was first imported, or one made from its content hash.
    public let id: String

    /// Further identifiers under which the very same text was imported.
    public let otherIDs: [String]

    /// SHA-256 of the text's UTF-8 form, in hexadecimal: the document's identity.
    public let contentHash: String

    /// Where the document is from, as its importer said.
    public let source: String?

    /// A JSON object, as text.
    public let metadata: String?

    /// The file and line that the text was first read from, such as `articles.jsonl:57`.
    public let origin: String

    /// The whole text.
    public let text: String

    /// How often the text was met: once for each identifier it came under, and once for each place (file and line) it was
    /// met at without one. Importing a file again adds nothing.
    public let copies: Int

    /// The rowids of its sequences, in the order of its pieces.
    public let sequences: ClosedRange<Int64>
}

/// A document on its way into a corpus.
public struct CorpusRecord: Sendable, Equatable {
    /// The external identifier, unique in the corpus. Without one, the document is named after its content hash.
    public var id: String?

    /// The text: not empty, without NUL characters.
    public var text: String

    /// Where the document is from; candidates can be filtered by it.
    public var source: String?

    /// A JSON object, as text.
    public var metadata: String?

    /// The file and line that the record was read from.
    public var location: CorpusInputLocation

    /// Describes a document; ``CorpusImport`` makes these from files.
    public init(
        id: String? = nil, text: String, source: String? = nil, metadata: String? = nil, location: CorpusInputLocation
    ) {
        self.id = id
        self.text = text
        self.source = source
        self.metadata = metadata
        self.location = location
    }
}

/// A line of an input.
public struct CorpusInputLocation: Sendable, Equatable, CustomStringConvertible {
    /// The name of the file, without its folder; `standard input` where there is none.
    public var file: String

    /// The line, from 1.
    public var line: Int

    /// Names a line of a file.
    public init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    public var description: String { "\(file):\(line)" }
}
