import JSON

/// Reads comma-separated values as in RFC 4180, and the same with another separator.
///
/// The first row names the columns. A field in double quotes can contain separators, line ends, and double quotes, which are doubled.
/// Rows end at a line feed, a carriage return, or both; blank lines are skipped. Every value is a string, except that an empty field
/// without quotes is null. A byte order mark at the start is dropped.
public final class SeparatedValuesReader: TableReader {
    private let file: String
    private let limit: Int
    private var records: RecordSplitter
    private let nextInputSize: () -> Int
    public private(set) var columns: [String] = []
    private var selected: [Int] = []
    private var rowNumber = 0

    /// - Parameters:
    ///   - separator: The byte between fields.
    ///   - file: The name in errors.
    ///   - bytesRead: The number of bytes read so far, as they are on disk.
    ///   - nextInput: Returns the next bytes, at least one; nil at the end.
    /// - Throws: ``TableError``, for example if there is no header.
    public init(
        separator: UInt8, file: String, rowLimit: Int = TableLimits.rowSize, bytesRead: @escaping () -> Int,
        nextInput: @escaping () throws -> [UInt8]?
    ) throws {
        self.file = file
        limit = rowLimit
        nextInputSize = bytesRead
        records = RecordSplitter(separator: separator, file: file, limit: rowLimit, nextInput)
        guard let header = try records.next(fieldLimit: TableLimits.columns) else {
            throw TableError.truncated(file: file, missing: "its first row, which names the columns")
        }
        guard header.count <= TableLimits.columns else {
            throw TableError.unsupported(
                file: file, feature: "more than \(TableLimits.columns) columns",
                advice: "Leave out those that are not needed.")
        }
        for field in header.fields {
            guard let name = String(validating: field.bytes, as: UTF8.self) else {
                throw TableError.malformed(
                    file: file, line: header.line, reason: "a column's name is not UTF-8. Convert the file to UTF-8.")
            }
            columns.append(name)
        }
        selected = Array(columns.indices)
    }

    public var bytesRead: Int { nextInputSize() }

    public func select(_ names: [String]) throws {
        selected = try columns.indices(of: names, file: file)
    }

    public func nextRow() throws -> TableRow? {
        guard let record = try records.next(fieldLimit: columns.count) else { return nil }
        rowNumber += 1
        let values = Result { () throws(TableError) in try tree(record) }
        return TableRow(number: rowNumber, line: record.line, size: record.size, values: values)
    }

    private func tree(_ record: RecordSplitter.Record) throws(TableError) -> JSONTree {
        guard record.count == columns.count else {
            throw .raggedRow(
                file: file, row: rowNumber, line: record.line, fields: record.count, columns: columns.count)
        }
        var members: [JSONTree.Member] = []
        members.reserveCapacity(selected.count)
        for index in selected {
            let field = record.fields[index]
            var value = JSONTree.null
            if field.isQuoted || !field.bytes.isEmpty {
                guard let text = String(validating: field.bytes, as: UTF8.self) else {
                    throw .badValue(
                        file: file, row: rowNumber, line: record.line, column: columns[index],
                        reason: "is not UTF-8. Convert the file to UTF-8.")
                }
                value = .string(text)
            }
            members.append(JSONTree.Member(name: columns[index], value: value))
        }
        return .object(members)
    }
}

/// Splits a stream of bytes into records and fields.
private struct RecordSplitter {
    struct Field {
        var bytes: ArraySlice<UInt8>
        var isQuoted: Bool
    }

    struct Record {
        /// The line on which it begins.
        let line: Int
        /// No more than the limit.
        var fields: [Field] = []
        /// The number of all fields.
        var count = 0
        var size = 0
    }

    private let separator: UInt8
    private let file: String
    private let limit: Int
    private let nextInput: () throws -> [UInt8]?
    private var chunk: [UInt8] = []
    private var position = 0
    private var isAtStart = true
    private var line = 1
    /// Whether the last record ended with a carriage return: a line feed after it belongs to the same line end.
    private var endedWithReturn = false

    init(separator: UInt8, file: String, limit: Int, _ nextInput: @escaping () throws -> [UInt8]?) {
        self.separator = separator
        self.file = file
        self.limit = limit
        self.nextInput = nextInput
    }

    private static let quote = UInt8(ascii: "\"")
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// The next record that is not a blank line; nil at the end.
    ///
    /// - Parameter fieldLimit: The most fields to keep.
    mutating func next(fieldLimit: Int) throws -> Record? {
        while true {
            if try peek() == Self.lineFeed, endedWithReturn { position += 1 }
            endedWithReturn = false
            guard try peek() != nil else { return nil }
            var record = Record(line: line)
            while try readField(into: &record, fieldLimit: fieldLimit) {}
            if record.count == 1, let field = record.fields.first, field.bytes.isEmpty, !field.isQuoted { continue }
            return record
        }
    }

    /// Reads a field, and the separator or the line end after it.
    ///
    /// - Returns: Whether the record continues.
    private mutating func readField(into record: inout Record, fieldLimit: Int) throws -> Bool {
        let isQuoted = try peek() == Self.quote
        let bytes = isQuoted ? try quotedField(&record) : try plainField(&record)
        record.count += 1
        if record.count <= fieldLimit { record.fields.append(Field(bytes: bytes, isQuoted: isQuoted)) }
        guard let end = try peek() else { return false }
        position += 1
        if end == separator { return true }
        guard end == Self.lineFeed || end == Self.carriageReturn else {
            throw TableError.malformed(
                file: file, line: line,
                reason: "a field goes on after its closing quote. Double the quotes inside a quoted field.")
        }
        endedWithReturn = end == Self.carriageReturn
        line += 1
        return false
    }

    private mutating func plainField(_ record: inout Record) throws -> ArraySlice<UInt8> {
        var earlier: [UInt8] = []
        while try peek() != nil {
            let bytes = chunk
            let start = position
            var index = start
            while index < bytes.count {
                let byte = bytes[index]
                if byte == separator || byte == Self.lineFeed || byte == Self.carriageReturn { break }
                index += 1
            }
            position = index
            try add(index - start, to: &record)
            if index < bytes.count {
                return earlier.isEmpty ? bytes[start..<index] : (earlier + bytes[start..<index])[...]
            }
            earlier.append(contentsOf: bytes[start...])
        }
        return earlier[...]
    }

    private mutating func quotedField(_ record: inout Record) throws -> ArraySlice<UInt8> {
        let firstLine = line
        position += 1
        var text: [UInt8] = []
        while try peek() != nil {
            let bytes = chunk
            let start = position
            var index = start
            while index < bytes.count, bytes[index] != Self.quote {
                if bytes[index] == Self.lineFeed { line += 1 }
                index += 1
            }
            try add(index - start, to: &record)
            text.append(contentsOf: bytes[start..<index])
            position = index
            guard index < bytes.count else { continue }
            position += 1
            guard try peek() == Self.quote else { return text[...] }
            position += 1
            text.append(Self.quote)
        }
        throw TableError.truncated(file: file, missing: "the end of the quoted field that begins on line \(firstLine)")
    }

    private func add(_ bytes: Int, to record: inout Record) throws {
        record.size += bytes
        guard record.size <= limit else {
            throw TableError.malformed(
                file: file, line: record.line,
                reason: "the row has more than \(limit) bytes. Split it, or close a quote that is left open.")
        }
    }

    /// The next byte; nil at the end.
    private mutating func peek() throws -> UInt8? {
        while position == chunk.count {
            guard let next = try nextInput() else { return nil }
            chunk = next
            position = 0
            if isAtStart {
                isAtStart = false
                while chunk.count < 3, let more = try nextInput() { chunk += more }
                // The byte order mark that some editors write.
                if chunk.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
            }
        }
        return chunk[position]
    }
}
