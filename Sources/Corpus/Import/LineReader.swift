/// Cuts a stream of bytes into lines.
///
/// A line ends with a line feed, or a carriage return and a line feed, or at the end of the stream; neither is part of it.
/// Not more is held than one chunk and one line.
struct LineReader {
    private let source: any ByteSource
    private let file: String
    private let limit: Int
    private var chunk: ArraySlice<UInt8> = []

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
        var line: [UInt8] = []
        var isPresent = false
        while true {
            if chunk.isEmpty {
                guard let bytes = try source.nextChunk() else { break }
                chunk = bytes[...]
            }
            isPresent = true
            let end = chunk.firstIndex(of: UInt8(ascii: "\n"))
            let part = chunk[..<(end ?? chunk.endIndex)]
            guard line.count + part.count <= limit else {
                throw CorpusImportError.tooLong(
                    location: CorpusInputLocation(file: file, line: lineNumber + 1), limit: limit)
            }
            line.append(contentsOf: part)
            if let end {
                chunk = chunk[(end + 1)...]
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                break
            }
            chunk = []
        }
        guard isPresent else { return nil }
        lineNumber += 1
        return line
    }
}
