import Files

/// A record as its input has it.
struct RawRecord: Sendable {
    /// Where its first line is.
    let location: CorpusInputLocation

    /// Its line, or the lines of its paragraph with line feeds between them.
    let bytes: [UInt8]

    let format: CorpusInput.Format
}

/// Reads an input record by record.
struct RecordReader {
    /// The most bytes that a record may have.
    static let maximumRecordSize = 64 << 20

    let format: CorpusInput.Format
    private let name: String
    private let source: any ByteSource
    private let recordLimit: Int
    private var lines: LineReader

    /// Opens an input, and finds out its compression and its format.
    ///
    /// - Throws: ``CorpusImportError`` if it cannot be opened, its first bytes cannot be read, or they are those of something else than
    ///   JSON lines or plain text: ``CorpusImportError/foreignFormat(file:_:)``, ``CorpusImportError/jsonNamedAsText(file:)``.
    init(_ input: CorpusInput, recordLimit: Int = maximumRecordSize) throws {
        let raw = try PeekedByteSource(input.open()) { $0.count >= ForeignFormat.headSize }
        if let format = ForeignFormat(head: raw.start) {
            throw CorpusImportError.foreignFormat(file: input.name, format)
        }
        let isCompressed = input.isNamedAsGzip || raw.start.starts(with: GzipReader.magic)
        let text = try PeekedByteSource(isCompressed ? GzipByteSource(raw, file: input.name) : raw) { start in
            start.count >= Self.sniffedSize
                || start.count >= ForeignFormat.headSize && start.contains { !$0.isWhitespace }
        }
        if isCompressed, let format = ForeignFormat(head: text.start) {
            throw CorpusImportError.foreignFormat(file: input.name, format)
        }
        text.drop([0xef, 0xbb, 0xbf])  // The byte order mark that some editors write (RFC 3629, section 6).
        format = try TextFormat(start: text.start).format(of: input)
        name = input.name
        source = text
        self.recordLimit = recordLimit
        lines = LineReader(text, file: input.name, limit: recordLimit)
    }

    /// Reads JSON lines that are not compressed.
    init(lines source: any ByteSource, name: String) {
        format = .jsonLines
        self.name = name
        self.source = source
        recordLimit = Self.maximumRecordSize
        lines = LineReader(source, file: name, limit: recordLimit)
    }

    /// How many bytes of the input have been read, as they are on disk.
    var bytesRead: Int { source.bytesRead }

    /// The next record; nil at the end of the input.
    mutating func next() throws -> RawRecord? {
        var bytes: [UInt8] = []
        var firstLine: Int?
        try lines.skipBlankLines()
        while let line = try lines.next() {
            if line.allSatisfy(\.isWhitespace) {
                if firstLine == nil { continue }
                break
            }
            let location = CorpusInputLocation(file: name, line: firstLine ?? lines.lineNumber)
            if format == .jsonLines { return RawRecord(location: location, bytes: line, format: format) }
            if firstLine != nil { bytes.append(UInt8(ascii: "\n")) }
            firstLine = location.line
            bytes.append(contentsOf: line)
            guard bytes.count <= recordLimit else {
                throw CorpusImportError.tooLong(location: location, limit: recordLimit)
            }
        }
        return firstLine.map { line in
            RawRecord(location: CorpusInputLocation(file: name, line: line), bytes: bytes, format: format)
        }
    }

    private static let sniffedSize = 1 << 20
}

extension UInt8 {
    /// Whether this is white space of ASCII.
    var isWhitespace: Bool { self == 0x20 || (0x09...0x0d).contains(self) }
}
