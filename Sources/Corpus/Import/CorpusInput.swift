import Foundation

/// Something that documents are imported from.
///
/// Inputs in gzip format, of one or several members, are recognised by their first bytes and decompressed.
public struct CorpusInput: Sendable {
    /// How documents are written down.
    public enum Format: Sendable, Equatable {
        /// One JSON object a line: `{"id", "text", "source", "metadata"}`. Only `text` is required. `id` is a string or an
        /// integer, `source` a string, `metadata` an object; null is the same as nothing, and other fields are ignored.
        /// Blank lines are skipped.
        case jsonLines

        /// Plain text, with a document in each paragraph: one or more lines, up to a blank one or the end. A document's text
        /// keeps its line breaks, as line feeds.
        case plainText
    }

    enum Origin: Sendable {
        case file(path: String)
        case standardInput
        case bytes([UInt8])
    }

    let origin: Origin

    /// The format that was asked for; nil if it is to be found out.
    let format: Format?

    /// The form that the file's name promises; nil if it promises none.
    let named: NamedForm?

    enum NamedForm: Sendable {
        case jsonLines, plainText, csv, tsv
    }

    /// How the input is called in messages and origins.
    let name: String

    /// A file. `-` is standard input.
    ///
    /// - Parameter format: If not given, it goes by the file's name (`.jsonl`, `.ndjson`, `.json` or `.txt`, before `.gz` if
    ///   there is one), and for any other name by the first character: `{` begins JSON lines. What is named as text and is JSON is
    ///   refused then, and so are tables and JSON arrays.
    public static func file(_ path: String, format: Format? = nil) -> CorpusInput {
        if path == "-" { return standardInput(format: format) }
        return CorpusInput(
            origin: .file(path: path), format: format, named: form(ofFileNamed: path),
            name: URL(fileURLWithPath: path).lastPathComponent)
    }

    /// The process's standard input. If the format is not given, it goes by the first character.
    public static func standardInput(format: Format? = nil) -> CorpusInput {
        CorpusInput(origin: .standardInput, format: format, named: nil, name: "standard input")
    }

    /// Bytes in memory, such as the body of a request. If the format is not given, it goes by the first character.
    ///
    /// - Parameter name: How the bytes are called in messages and in the documents' origins.
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

    /// Whether the name promises compressed data.
    var isNamedAsGzip: Bool {
        if case .file(let path) = origin { path.lowercased().hasSuffix(".gz") } else { false }
    }

    /// How many bytes there are to read; nil if that is not known.
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

    /// Opens the input.
    ///
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
}
