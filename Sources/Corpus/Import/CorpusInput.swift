import Foundation

/// A source of documents to import.
///
/// Inputs in gzip format are recognised by their first bytes and decompressed.
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
    }

    enum Origin: Sendable {
        case file(path: String)
        case standardInput
        case bytes([UInt8])
    }

    let origin: Origin
    /// The requested format; nil to detect it.
    let format: Format?
    /// The form that the file's name implies; nil if it implies none.
    let named: NamedForm?

    enum NamedForm: Sendable {
        case jsonLines, plainText, csv, tsv
    }

    /// The input's name in messages and origins.
    let name: String

    /// A file. `-` is standard input.
    ///
    /// - Parameter format: If nil, the file's name decides (`.jsonl`, `.ndjson`, `.json` or `.txt`, perhaps followed by `.gz`), and for
    ///   any other name the first character: `{` begins JSON lines. A file named as text that contains JSON is then refused, and so are
    ///   tables and JSON arrays.
    public static func file(_ path: String, format: Format? = nil) -> CorpusInput {
        if path == "-" { return standardInput(format: format) }
        return CorpusInput(
            origin: .file(path: path), format: format, named: form(ofFileNamed: path),
            name: URL(fileURLWithPath: path).lastPathComponent)
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

    private static func form(ofFileNamed path: String) -> NamedForm? {
        var url = URL(fileURLWithPath: path)
        if url.pathExtension.lowercased() == "gz" { url.deletePathExtension() }
        return switch url.pathExtension.lowercased() {
        case "jsonl", "ndjson", "json": .jsonLines
        case "txt", "text": .plainText
        case "csv": .csv
        case "tsv", "tab": .tsv
        default: nil
        }
    }

    var isNamedAsGzip: Bool {
        if case .file(let path) = origin { path.lowercased().hasSuffix(".gz") } else { false }
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
    public func forEachRecord(_ body: (CorpusRecord) throws -> Void) throws {
        var reader = try RecordReader(self)
        while let raw = try reader.next() { try body(CorpusRecord(raw)) }
    }
}
