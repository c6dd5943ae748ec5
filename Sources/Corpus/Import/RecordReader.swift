import Files
import JSON
import Tables

/// A record as its input contains it.
struct RawRecord: Sendable {
    enum Content: Sendable {
        /// The lines of a paragraph, with line feeds between them.
        case paragraph([UInt8])
        /// A line of JSON, or an element of a JSON array.
        case json([UInt8])
        /// A row of a table, as an object.
        case row(JSONTree)
        /// A row that cannot be used, and why.
        case refused(CorpusImportError)
    }

    /// The location of its first line, or its row.
    let location: CorpusInputLocation
    let content: Content
    /// Its size in bytes.
    let size: Int
}

extension RawRecord {
    init(location: CorpusInputLocation, json bytes: [UInt8]) {
        self.init(location: location, content: .json(bytes), size: bytes.count)
    }
}

/// Runs a body that reads a table, and throws its errors as those of an import.
private func asImportErrors<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch let error as TableError {
        throw CorpusImportError.table(error)
    }
}

struct RecordReader {
    /// The most bytes that a record can have.
    static let maximumRecordSize = 64 << 20

    let format: CorpusInput.Format
    private let nextRecord: () throws -> RawRecord?
    private let countBytes: () -> Int

    /// Opens an input, and detects its compression and its format.
    ///
    /// - Throws: ``CorpusImportError`` if the input cannot be opened, its first bytes cannot be read, or they are in no known format:
    ///   ``CorpusImportError/foreignFormat(file:_:)``, ``CorpusImportError/jsonNamedAsText(file:)``; also if a table has no column for the
    ///   text.
    init(
        _ input: CorpusInput, rows: RowFields = RowFields(), recordLimit: Int = maximumRecordSize
    ) throws {
        let raw = try PeekedByteSource(input.open()) { $0.count >= ForeignFormat.headSize }
        if let table = BinaryTable(head: raw.start, of: input) {
            let records = try asImportErrors {
                try TableRecords(table.open(input, rowLimit: recordLimit), rows: rows, file: input.name)
            }
            format = table == .parquet ? .parquet : .arrow
            nextRecord = records.next
            countBytes = { records.bytesRead }
            return
        }
        if !ZstdReader.isStart(raw.start), let format = ForeignFormat(head: raw.start) {
            throw CorpusImportError.foreignFormat(file: input.name, format)
        }
        let source = try Self.decompressed(raw, input)
        let isCompressed = source !== raw
        let text = try PeekedByteSource(source) { start in
            start.count >= Self.sniffedSize
                || start.count >= ForeignFormat.headSize && start.contains { !$0.isWhitespace }
        }
        if isCompressed, let format = ForeignFormat(head: text.start) {
            throw CorpusImportError.foreignFormat(file: input.name, format)
        }
        text.drop([0xef, 0xbb, 0xbf])  // The byte order mark that some editors write (RFC 3629, section 6).
        let format = try TextFormat(start: text.start).format(of: input)
        self.format = format
        countBytes = { text.bytesRead }
        switch format {
        case .commaSeparated, .tabSeparated:
            let separator: Unicode.Scalar = format == .commaSeparated ? "," : "\t"
            let records = try asImportErrors {
                let reader = try SeparatedValuesReader(
                    separator: UInt8(ascii: separator), file: input.name, rowLimit: recordLimit,
                    bytesRead: { text.bytesRead }, nextInput: text.nextChunk)
                return try TableRecords(reader, rows: rows, file: input.name)
            }
            nextRecord = records.next
        case .jsonArray:
            var array = JSONArrayReader(file: input.name, limit: recordLimit, text.nextChunk)
            nextRecord = {
                try array.next().map { element in
                    RawRecord(location: CorpusInputLocation(file: input.name, line: element.line), json: element.bytes)
                }
            }
        default:
            nextRecord = Self.records(
                of: LineReader(text, file: input.name, limit: recordLimit), areParagraphs: format == .plainText)
        }
    }

    private static func decompressed(_ raw: PeekedByteSource, _ input: CorpusInput) throws -> any ByteSource {
        if input.isNamed(".gz") || raw.start.starts(with: GzipReader.magic) {
            return try DecompressedByteSource(gzip: raw, file: input.name)
        }
        if input.isNamed(".zst") || ZstdReader.isStart(raw.start) {
            return try DecompressedByteSource(zstd: raw, file: input.name)
        }
        return raw
    }

    /// Reads JSON lines that are not compressed.
    init(lines source: any ByteSource, name: String) {
        format = .jsonLines
        nextRecord = Self.records(
            of: LineReader(source, file: name, limit: Self.maximumRecordSize), areParagraphs: false)
        countBytes = { source.bytesRead }
    }

    /// The number of bytes read from the input, as they are on disk.
    var bytesRead: Int { countBytes() }

    /// The next record; nil at the end of the input.
    func next() throws -> RawRecord? { try asImportErrors(nextRecord) }

    private static func records(of lines: LineReader, areParagraphs: Bool) -> () throws -> RawRecord? {
        var lines = lines
        return { areParagraphs ? try nextParagraph(&lines) : try nextLine(&lines) }
    }

    private static func nextLine(_ lines: inout LineReader) throws -> RawRecord? {
        try lines.skipBlankLines()
        while let line = try lines.next() {
            if line.allSatisfy(\.isWhitespace) { continue }
            return RawRecord(location: CorpusInputLocation(file: lines.file, line: lines.lineNumber), json: line)
        }
        return nil
    }

    private static func nextParagraph(_ lines: inout LineReader) throws -> RawRecord? {
        var bytes: [UInt8] = []
        var firstLine: Int?
        try lines.skipBlankLines()
        while let line = try lines.next() {
            if line.allSatisfy(\.isWhitespace) {
                if firstLine == nil { continue }
                break
            }
            let location = CorpusInputLocation(file: lines.file, line: firstLine ?? lines.lineNumber)
            if firstLine != nil { bytes.append(UInt8(ascii: "\n")) }
            firstLine = location.line
            bytes.append(contentsOf: line)
            guard bytes.count <= lines.limit else {
                throw CorpusImportError.tooLong(location: location, limit: lines.limit)
            }
        }
        return firstLine.map { line in
            RawRecord(
                location: CorpusInputLocation(file: lines.file, line: line), content: .paragraph(bytes),
                size: bytes.count)
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
