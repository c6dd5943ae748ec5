import Files

/// A record as its input contains it.
struct RawRecord: Sendable {
    /// The location of its first line.
    let location: CorpusInputLocation
    /// Its line, or the lines of its paragraph with line feeds between them.
    let bytes: [UInt8]

    let format: CorpusInput.Format
}

struct RecordReader {
    /// The most bytes that a record can have.
    static let maximumRecordSize = 64 << 20

    let format: CorpusInput.Format
    private var lines: LineReader

    /// Opens an input, and detects its compression and its format.
    ///
    /// - Throws: ``CorpusImportError`` if the input cannot be opened, its first bytes cannot be read, or they are neither JSON lines nor
    ///   plain text: ``CorpusImportError/foreignFormat(file:_:)``, ``CorpusImportError/jsonNamedAsText(file:)``.
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
        lines = LineReader(text, file: input.name, limit: recordLimit)
    }

    /// Reads JSON lines that are not compressed.
    init(lines source: any ByteSource, name: String) {
        format = .jsonLines
        lines = LineReader(source, file: name, limit: Self.maximumRecordSize)
    }

    /// The number of bytes read from the input, as they are on disk.
    var bytesRead: Int { lines.source.bytesRead }

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
            let location = CorpusInputLocation(file: lines.file, line: firstLine ?? lines.lineNumber)
            if format == .jsonLines { return RawRecord(location: location, bytes: line, format: format) }
            if firstLine != nil { bytes.append(UInt8(ascii: "\n")) }
            firstLine = location.line
            bytes.append(contentsOf: line)
            guard bytes.count <= lines.limit else {
                throw CorpusImportError.tooLong(location: location, limit: lines.limit)
            }
        }
        return firstLine.map { line in
            RawRecord(location: CorpusInputLocation(file: lines.file, line: line), bytes: bytes, format: format)
        }
    }

    private static let sniffedSize = 1 << 20
}

extension UInt8 {
    var isWhitespace: Bool { self == 0x20 || (0x09...0x0d).contains(self) }
}

/// Splits a stream of bytes into lines.
///
/// A line ends with a line feed, with a carriage return and a line feed, or at the end of the stream. The characters that end it are not
/// part of it. The reader holds at most one chunk and one line.
struct LineReader {
    let source: any ByteSource
    /// The name of the stream in errors.
    let file: String
    /// The most bytes in a line.
    let limit: Int

    private var chunk: [UInt8] = []
    private var position = 0
    /// The part of the current line from earlier chunks.
    private var beginning: [UInt8] = []
    /// Whether the current line has any bytes so far. If it has some when the stream ends, they are the last line, which need not have a
    /// line end.
    private var isBegun = false
    /// The number of the last line that was read, from 1.
    private(set) var lineNumber = 0

    init(_ source: any ByteSource, file: String, limit: Int) {
        self.source = source
        self.file = file
        self.limit = limit
    }

    /// The next line; nil at the end of the stream.
    ///
    /// - Throws: ``CorpusImportError/tooLong(location:limit:)``, or what the stream throws.
    mutating func next() throws -> [UInt8]? {
        while try fillChunk() {
            let start = position
            let end = endOfLine()
            guard beginning.count + (end - start) <= limit else { throw tooLong }
            guard end < chunk.count else {
                beginning.append(contentsOf: chunk[start...])
                position = end
                isBegun = true
                continue
            }
            position = end + 1
            return take(chunk[start..<end])
        }
        return isBegun ? take([]) : nil
    }

    /// Skips lines that consist of white space.
    ///
    /// Some files have gigabytes of such lines: no array is made for them.
    ///
    /// - Throws: What the stream throws; ``CorpusImportError/tooLong(location:limit:)``.
    mutating func skipBlankLines() throws {
        while try fillChunk() {
            let bytes = chunk
            var start = position
            var index = position
            var ends = 0
            while index < bytes.count, bytes[index].isWhitespace {
                if bytes[index] == UInt8(ascii: "\n") {
                    ends += 1
                    start = index + 1
                }
                index += 1
            }
            if ends > 0 {
                lineNumber += ends
                beginning.removeAll(keepingCapacity: true)
                isBegun = false
            }
            position = start
            guard index == bytes.count else { return }
            // The line continues in the next chunk, where it may be more than blank.
            guard beginning.count + (index - start) <= limit else { throw tooLong }
            beginning.append(contentsOf: bytes[start...])
            isBegun = isBegun || start < index
            position = index
        }
    }

    /// Whether unread bytes remain, in this chunk or in the next.
    private mutating func fillChunk() throws -> Bool {
        guard position == chunk.count else { return true }
        guard let bytes = try source.nextChunk() else { return false }
        chunk = bytes
        position = 0
        return true
    }

    /// The index of the chunk's next line feed; the chunk's end if there is none.
    private func endOfLine() -> Int {
        let bytes = chunk
        var index = position
        while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        return index
    }

    private mutating func take(_ end: ArraySlice<UInt8>) -> [UInt8] {
        lineNumber += 1
        isBegun = false
        var line = Array(end)
        if !beginning.isEmpty {
            line = beginning + end
            beginning = []
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }

    private var tooLong: CorpusImportError {
        .tooLong(location: CorpusInputLocation(file: file, line: lineNumber + 1), limit: limit)
    }
}
