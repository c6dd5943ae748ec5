/// Cuts a stream of bytes into lines.
///
/// A line ends with a line feed, or a carriage return and a line feed, or at the end of the stream; neither is part of it.
/// Not more is held than one chunk and one line.
struct LineReader {
    private let source: any ByteSource
    private let file: String
    private let limit: Int

    private var chunk: [UInt8] = []
    private var position = 0
    /// What of the current line was in chunks before this one.
    private var beginning: [UInt8] = []
    /// Whether the current line has bytes, if only its end: the last line of a stream may have none.
    private var isBegun = false

    /// The number of the line that was read last, from 1.
    private(set) var lineNumber = 0

    /// Reads lines of at most `limit` bytes.
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

    /// Goes past lines that have nothing but white space, up to the next that has more.
    ///
    /// Files are met that have gigabytes of such lines: none of them is made.
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
            // The line goes on in the next chunk, and may be more than blank there.
            guard beginning.count + (index - start) <= limit else { throw tooLong }
            beginning.append(contentsOf: bytes[start...])
            isBegun = isBegun || start < index
            position = index
        }
    }

    /// Whether there are bytes that have not been looked at, of this chunk or of the next.
    private mutating func fillChunk() throws -> Bool {
        guard position == chunk.count else { return true }
        guard let bytes = try source.nextChunk() else { return false }
        chunk = bytes
        position = 0
        return true
    }

    /// Where the chunk's next line feed is, or else the chunk's end.
    private func endOfLine() -> Int {
        let bytes = chunk
        var index = position
        while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        return index
    }

    /// Ends the current line.
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
