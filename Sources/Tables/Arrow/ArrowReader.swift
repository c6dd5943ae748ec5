import Files
import JSON

/// Reads the rows of an Arrow file or stream (arrow.apache.org/docs/format/Columnar.html, "Serialization and Interprocess Communication").
///
/// A file is a stream with a mark before it and an index after it. Columns are strings, booleans, integers, floating-point numbers, and
/// lists and structures of them, also by dictionaries; a structure becomes an object, a list an array, and a map an array of objects.
/// Buffers are compressed with zstd or not at all. Everything else is refused by name where a selected column uses it. NaN and infinity
/// become null.
///
/// Memory holds a part of each buffer of the selected columns, never a whole batch.
public final class ArrowReader: TableReader {
    /// The bytes with which a file begins and ends. Two bytes of padding follow at the beginning.
    public static let fileMagic = Array("ARROW1".utf8)
    /// The bytes with which every message begins, and so a stream.
    public static let streamMagic: [UInt8] = [0xff, 0xff, 0xff, 0xff]

    static let advice = "Write it as a string or a number, or leave it out."

    public let columns: [String]
    private let source: TableSource
    private let isFile: Bool
    private let fields: [ArrowField]
    private let budget: RowBudget
    private var position: Int
    private var isAtEnd = false

    private var selected: [Int]?
    private var dictionaryFields: [Int64: ArrowField] = [:]
    private var dictionaries: [Int64: [JSONTree]] = [:]
    private var dictionarySizes: [Int64: Int] = [:]

    private var batchColumns: [ArrowColumn] = []
    private var inBatch = 0
    private var rowNumber = 0

    /// - Throws: ``TableError``.
    public init(_ source: TableSource, rowLimit: Int = TableLimits.rowSize) throws {
        self.source = source
        budget = RowBudget(limit: rowLimit)
        guard source.length >= 8 else { throw source.truncated("its schema") }
        isFile = try source.read(at: 0, count: 6, of: "its beginning") == Self.fileMagic
        position = isFile ? 8 : 0
        guard let message = try Self.message(of: source, at: &position) else { throw source.truncated("its schema") }
        guard message.kind == 1 else { throw source.corrupt("it does not begin with a schema") }
        do throws(FlatTable.Mistake) {
            fields = try Self.fields(of: message.header)
        } catch {
            throw source.corrupt("its schema is malformed")
        }
        if (try? message.header.number(0, default: Int16(0))) != 0 {
            throw source.unsupported("Big-endian data", "Write it on a little-endian machine.")
        }
        columns = fields.map(\.name)
    }

    private static func fields(of schema: FlatTable) throws(FlatTable.Mistake) -> [ArrowField] {
        var budget = TableLimits.columns
        var fields: [ArrowField] = []
        for field in try schema.tables(1, limit: budget) {
            fields.append(try ArrowField(field, depth: 0, budget: &budget))
        }
        return fields
    }

    public var bytesRead: Int { isAtEnd ? source.length : min(position, source.length) }

    public func select(_ names: [String]) throws {
        let indices = try columns.indices(of: names, file: source.name)
        dictionaryFields = [:]
        for index in indices {
            if let (path, name) = fields[index].unreadable(path: columns[index]) {
                throw source.unsupported("Column \"\(path)\", a \(name),", Self.advice)
            }
            for (id, field) in fields[index].dictionaries {
                guard field.innerDictionaries.isEmpty else {
                    throw source.unsupported("Column \"\(columns[index])\", a dictionary of dictionaries,", Self.advice)
                }
                dictionaryFields[id] = field
            }
        }
        selected = indices
    }

    public func nextRow() throws -> TableRow? {
        if selected == nil { try select(columns) }
        while inBatch == 0 {
            guard try readMessage() else { return nil }
        }
        inBatch -= 1
        rowNumber += 1
        budget.startRow()
        var members: [JSONTree.Member] = []
        members.reserveCapacity(batchColumns.count)
        do {
            for (index, column) in zip(selected ?? [], batchColumns) {
                members.append(JSONTree.Member(name: columns[index], value: try column.next()))
            }
        } catch is RowTooLong {
            throw TableError.tooLong(file: source.name, row: rowNumber, line: nil, limit: budget.limit)
        }
        return budget.row(rowNumber, .object(members), file: source.name)
    }

    // MARK: Messages

    private struct Message {
        let kind: UInt8
        let header: FlatTable
        let body: Range<Int>
    }

    /// The message at a position, which is moved past it; nil at the mark of the stream's end.
    private static func message(of source: TableSource, at position: inout Int) throws -> Message? {
        let head = try source.read(at: position, count: 8, of: "the mark of its end, so it was cut short or not closed")
        guard head[..<4].elementsEqual(streamMagic) else {
            throw source.corrupt("a message does not begin with its mark")
        }
        let size = Int(head.span.bytes.littleEndian(Int32.self, at: 4))
        position += 8
        guard size != 0 else { return nil }
        guard size > 0, size <= TableLimits.metadataSize else {
            throw source.corrupt("a message has a header of \(size) bytes")
        }
        let bytes = try source.read(at: position, count: size, of: "the header of a message does")
        position += size
        do {
            let table = try FlatTable(root: bytes)
            let length = Int(try table.number(3, default: Int64(0)))
            guard let header = try table.table(2), length >= 0 else { throw FlatTable.Mistake() }
            guard length <= source.length - position else { throw source.truncated("the data of a message does") }
            let body = position..<(position + length)
            position += length
            return Message(kind: try table.number(1, default: UInt8(0)), header: header, body: body)
        } catch is FlatTable.Mistake {
            throw source.corrupt("the header of a message is malformed")
        }
    }

    /// - Returns: Whether there was one.
    private func readMessage() throws -> Bool {
        guard !isAtEnd else { return false }
        guard let message = try Self.message(of: source, at: &position) else {
            if isFile { try checkFileEnd() }
            isAtEnd = true
            return false
        }
        switch message.kind {
        case 2:
            do {
                try readDictionary(message)
            } catch is FlatTable.Mistake {
                throw source.corrupt("a dictionary is malformed")
            }
        case 3:
            let batch = try batch(message.header, body: message.body)
            try startBatch(batch)
        default:
            break
        }
        return true
    }

    /// A file's index follows its stream: the messages were found without it, but without it the file is not whole.
    private func checkFileEnd() throws {
        let end = Self.fileMagic.count
        guard position <= source.length - end - 4,
            try source.read(at: source.length - end, count: end, of: "its footer") == Self.fileMagic
        else { throw source.truncated("its footer") }
    }

    private func batch(_ header: FlatTable, body: Range<Int>) throws -> ArrowBatch {
        do {
            let compression = try header.table(3)
            if let compression, try compression.number(0, default: Int8(0)) != 1 {
                throw source.unsupported(
                    "Data compressed with LZ4",
                    "Write it with zstd or without compression: pandas' to_feather(FILE, compression=\"zstd\").")
            }
            let rows = Int(try header.number(0, default: Int64(0)))
            guard rows >= 0 else { throw source.corrupt("a batch has \(rows) rows") }
            return ArrowBatch(
                source: source, body: body, rowCount: rows, isCompressed: compression != nil,
                nodes: try header.pairs(1), buffers: try header.pairs(2))
        } catch is FlatTable.Mistake {
            throw source.corrupt("the header of a batch is malformed")
        }
    }

    private func startBatch(_ batch: ArrowBatch) throws {
        var columns: [Int: ArrowColumn] = [:]
        let wanted = Set(selected ?? [])
        var (node, buffer) = (0, 0)
        for (index, field) in fields.enumerated() {
            if wanted.contains(index) {
                columns[index] = try ArrowColumn(
                    field, path: field.name, batch: batch, dictionaries: dictionaries, budget: budget, node: &node,
                    buffer: &buffer)
            } else {
                // The buffers of a view are counted elsewhere: what follows could not be found.
                if field.hasVariadicBuffers, wanted.contains(where: { $0 > index }) {
                    throw source.unsupported("Column \"\(field.name)\", a string or binary view,", Self.advice)
                }
                node += field.nodeCount
                buffer += field.bufferCount
            }
        }
        batchColumns = (selected ?? []).compactMap { columns[$0] }
        inBatch = batch.rowCount
    }

    private func readDictionary(_ message: Message) throws {
        let id = try message.header.number(0, default: Int64(0))
        guard let field = dictionaryFields[id], let header = try message.header.table(1) else { return }
        let batch = try batch(header, body: message.body)
        var (node, buffer) = (0, 0)
        let column = try ArrowColumn(
            field, path: field.name, batch: batch, dictionaries: [:], budget: budget, isValues: true, node: &node,
            buffer: &buffer)
        let isDelta = try message.header.boolean(2)
        var values = isDelta ? dictionaries[id] ?? [] : []
        var size = isDelta ? dictionarySizes[id] ?? 0 : 0
        do {
            for _ in 0..<batch.rowCount {
                budget.startRow()
                values.append(try column.next())
                size += budget.used
                guard size <= TableLimits.dictionarySize else { throw RowTooLong() }
            }
        } catch is RowTooLong {
            throw source.unsupported(
                "A dictionary of more than \(TableLimits.dictionarySize) bytes",
                "Write column \"\(field.name)\" without one.")
        }
        if let flaw = budget.flaw {
            throw source.corrupt("a value in the dictionary of \"\(flaw.column)\" \(flaw.reason)")
        }
        dictionaries[id] = values
        dictionarySizes[id] = size
    }
}

extension ArrowField {
    /// The dictionaries inside the values of a field that refers to one.
    fileprivate var innerDictionaries: [Int64] {
        switch form {
        case .list(_, let element), .fixedList(_, let element): element.dictionaries.map(\.id)
        case .structure(let members): members.flatMap(\.dictionaries).map(\.id)
        default: []
        }
    }
}
