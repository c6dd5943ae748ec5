import Files
import JSON
import Tables

/// The records of a table: each row is an object with the columns as its fields.
struct TableRecords {
    private let reader: any TableReader
    private let file: String

    init(_ reader: any TableReader, rows: RowFields, file: String) throws {
        self.reader = reader
        self.file = file
        try reader.select(rows.selection(from: reader.columns))
    }

    var bytesRead: Int { reader.bytesRead }

    func next() throws -> RawRecord? {
        guard let row = try reader.nextRow() else { return nil }
        let location =
            row.line.map { CorpusInputLocation(file: file, line: $0) }
            ?? CorpusInputLocation(file: file, line: row.number, isRow: true)
        switch row.values {
        case .success(let tree): return RawRecord(location: location, content: .row(tree), size: row.size)
        case .failure(let error): return RawRecord(location: location, content: .refused(.table(error)), size: row.size)
        }
    }
}

/// A format of tables that must be read at any offset, and so cannot be a stream.
enum BinaryTable {
    case parquet, arrow

    /// The format that begins with these bytes, or that the file's name promises.
    init?(head: [UInt8], of input: CorpusInput) {
        switch input.format ?? input.named {
        case .parquet: self = .parquet
        case .arrow: self = .arrow
        default:
            guard ForeignFormat(head: head) != nil else { return nil }
            if head.starts(with: ParquetReader.magic) {
                self = .parquet
            } else if head.starts(with: ArrowReader.fileMagic) || head.starts(with: ArrowReader.streamMagic) {
                self = .arrow
            } else {
                return nil
            }
        }
    }

    /// - Throws: ``TableError``.
    func open(_ input: CorpusInput, rowLimit: Int) throws -> any TableReader {
        let source: TableSource =
            switch input.origin {
            case .file(let path): try .file(path, name: input.name)
            case .bytes(let bytes): .bytes(bytes, name: input.name)
            case .standardInput:
                throw TableError.unsupported(
                    file: input.name, feature: self == .parquet ? "Parquet" : "Arrow",
                    advice: "It is not read from its start to its end: save it to a file and name that.")
            }
        return switch self {
        case .parquet: try ParquetReader(source, rowLimit: rowLimit)
        case .arrow: try ArrowReader(source, rowLimit: rowLimit)
        }
    }
}
