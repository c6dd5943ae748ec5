import Foundation

/// A source of documents to import.
///
/// Inputs compressed with gzip or zstd are recognised by their first bytes and decompressed.
public struct CorpusInput: Sendable {
    /// How an input represents documents.
    public enum Format: Sendable, Equatable {
        /// One JSON object per line: `{"id", "text", "source", "metadata"}`. Only `text` is required. `id` is a string or an integer,
        /// `source` a string, `metadata` an object. Null is the same as an absent field, other fields are ignored, and blank lines are
        /// skipped.
        case jsonLines

        /// Plain text with one document per paragraph, which ends at a blank line or at the end. A document's text keeps its line
        /// breaks, as line feeds.
        case plainText

        /// One JSON array of objects like those of ``jsonLines``.
        case jsonArray

        /// Comma-separated values (RFC 4180). The first row names the columns, which are the fields; the others are ignored.
        case commaSeparated

        /// The same with tabs between the values.
        case tabSeparated

        /// A Parquet file, whose columns are the fields.
        case parquet

        /// An Arrow file or stream, whose columns are the fields.
        case arrow
    }

    enum Origin: Sendable {
        case file(path: String)
        case standardInput
        case bytes([UInt8])
    }

    let origin: Origin
    /// The requested format; nil to detect it.
    let format: Format?
    /// The format that the file's name implies; nil if it implies none.
    let named: Format?

    /// The input's name in messages and origins.
    let name: String

    /// A file. `-` is standard input.
    ///
    /// - Parameters:
    ///   - format: If nil, the file's name decides (`.jsonl`, `.ndjson`, `.json`, `.txt`, `.csv`, `.tsv`, perhaps followed by
    ///   `.gz` or `.zst`, `.parquet`, `.arrow`, `.feather`), and for any other name its beginning. A file named as text that contains JSON or
    ///   a table is then refused.
    ///   - name: The name in messages and origins; nil for the file's name without its folder.
    public static func file(_ path: String, format: Format? = nil, name: String? = nil) -> CorpusInput {
        if path == "-" { return standardInput(format: format) }
        return CorpusInput(
            origin: .file(path: path), format: format, named: form(ofFileNamed: path),
            name: name ?? URL(fileURLWithPath: path).lastPathComponent)
    }

    /// The process's standard input. If the format is nil, the first character decides.
    public static func standardInput(format: Format? = nil) -> CorpusInput {
        CorpusInput(origin: .standardInput, format: format, named: nil, name: "standard input")
    }

    /// Bytes in memory, such as the body of a request. If the format is nil, the first character decides.
    ///
    /// - Parameter name: The name of the bytes in messages and in the documents' origins.
    public static func bytes(_ bytes: [UInt8], name: String, format: Format? = nil) -> CorpusInput {
        CorpusInput(origin: .bytes(bytes), format: format, named: nil, name: name)
    }

    /// Whether the file's name implies a format, or nothing but a compression.
    static func hasKnownForm(_ path: String) -> Bool {
        form(ofFileNamed: path) != nil || compressions.contains(URL(fileURLWithPath: path).pathExtension.lowercased())
    }

    private static let compressions = ["gz", "zst"]

    private static func form(ofFileNamed path: String) -> Format? {
        var url = URL(fileURLWithPath: path)
        if compressions.contains(url.pathExtension.lowercased()) { url.deletePathExtension() }
        return switch url.pathExtension.lowercased() {
        case "jsonl", "ndjson", "json": .jsonLines
        case "txt", "text": .plainText
        case "csv": .commaSeparated
        case "tsv", "tab": .tabSeparated
        case "parquet", "pq": .parquet
        case "arrow", "feather": .arrow
        default: nil
        }
    }

    /// Whether the file's name ends like this, whatever its case.
    func isNamed(_ ending: String) -> Bool {
        if case .file(let path) = origin { path.lowercased().hasSuffix(ending) } else { false }
    }

    /// The number of bytes to read; nil if it is unknown.
    ///
    /// - Throws: ``CorpusImportError/missingFile(path:)`` or ``CorpusImportError/isFolder(path:)``.
    func byteCount() throws -> Int? {
        switch origin {
        case .standardInput:
            return nil
        case .bytes(let bytes):
            return bytes.count
        case .file(let path):
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw CorpusImportError.missingFile(path: path)
            }
            guard !isFolder.boolValue else { throw CorpusImportError.isFolder(path: path) }
            let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: target)
            guard attributes?[.type] as? FileAttributeType == .typeRegular else { return nil }
            return (attributes?[.size] as? NSNumber)?.intValue
        }
    }

    /// - Throws: ``CorpusImportError/missingFile(path:)``, ``CorpusImportError/isFolder(path:)`` or
    ///   ``CorpusImportError/unreadable(path:reason:)``.
    func open() throws -> any ByteSource {
        switch origin {
        case .standardInput:
            return FileByteSource(FileHandle.standardInput, path: name)
        case .bytes(let bytes):
            return MemoryByteSource(bytes)
        case .file(let path):
            _ = try byteCount()
            do {
                return FileByteSource(try FileHandle(forReadingFrom: URL(fileURLWithPath: path)), path: path)
            } catch {
                throw CorpusImportError.unreadable(path: path, reason: error.localizedDescription)
            }
        }
    }

    /// Reads the input's documents one after the other, without adding them to a corpus.
    ///
    /// - Throws: ``CorpusImportError`` for the first document that cannot be used, or whatever the body throws.
    public func forEachRecord(
        rows: RowFields = RowFields(), _ body: (CorpusRecord) throws -> Void
    ) throws {
        let reader = try RecordReader(self, rows: rows)
        while let raw = try reader.next() { try body(CorpusRecord(raw, rows: rows)) }
    }
}
