import Files
import JSON

/// Reads a Parquet file (github.com/apache/parquet-format), row by row.
///
/// Columns are strings, booleans, integers and floating-point numbers, and lists and structures of them; a structure becomes an object, a
/// list an array, and a map an array of objects with `key` and `value`. Pages are of version 1 or 2, in the encodings PLAIN, RLE,
/// dictionary, and the three of differences; compression is none, snappy, gzip or zstd. Everything else is refused by name where a
/// selected column uses it. NaN and infinity become null.
///
/// Memory holds the footer, and for each selected column a page and a dictionary.
public final class ParquetReader: TableReader {
    /// The bytes with which a file begins and ends.
    public static let magic = Array("PAR1".utf8)

    public let columns: [String]
    private let source: TableSource
    private let nodes: [ParquetNode]
    private let elements: [ParquetSchemaElement]
    private let budget: RowBudget
    private let codec: ParquetCodec
    private let rowCount: Int
    private let groupCount: Int

    private var groups: ThriftReader
    private var selected: [(name: String, column: ParquetColumn)]?
    private var leaves: [ParquetLeafReader] = []
    private var group = 0
    private var inGroup = 0
    private var rowNumber = 0

    /// - Throws: ``TableError``.
    public init(_ source: TableSource, rowLimit: Int = TableLimits.rowSize) throws {
        self.source = source
        let footer = try Self.footer(of: source)
        elements = footer.schema
        var builder = ParquetSchema(elements: footer.schema)
        do throws(ThriftReader.Mistake) {
            nodes = try builder.columns()
        } catch {
            throw source.corrupt("its schema contradicts itself")
        }
        columns = nodes.map(\.name)
        budget = RowBudget(limit: rowLimit)
        codec = ParquetCodec(source)
        rowCount = footer.rowCount
        groupCount = footer.groupCount
        groups = footer.groups
    }

    /// A file ends with its footer, the footer's length in four bytes, and the magic.
    private static func footer(of source: TableSource) throws -> ParquetFooter {
        guard source.length >= 4 else { throw source.truncated("its beginning, PAR1, does") }
        guard try source.read(at: 0, count: 4, of: "its beginning") == magic else {
            throw source.corrupt("a Parquet file begins with PAR1, and this one does not")
        }
        guard source.length >= 12 else { throw source.truncated("its footer") }
        let tail = try source.read(at: source.length - 8, count: 8, of: "its footer")
        if tail[4...].elementsEqual("PARE".utf8) {
            throw source.unsupported("An encrypted Parquet file", "Write it without encryption.")
        }
        guard tail[4...].elementsEqual(magic) else { throw source.truncated("its footer, which lists its columns") }
        let length = Int(tail.span.bytes.littleEndian(UInt32.self, at: 0))
        guard length <= source.length - 12 else { throw source.corrupt("its footer is longer than the file") }
        guard length <= TableLimits.metadataSize else {
            throw source.unsupported(
                "A footer of \(length) bytes",
                "At most \(TableLimits.metadataSize) bytes are read. Write the table to several files.")
        }
        do {
            return try ParquetFooter(try source.read(at: source.length - 8 - length, count: length, of: "its footer"))
        } catch ThriftReader.Mistake.malformed(let reason) {
            throw source.corrupt("its footer: \(reason)")
        } catch is ThriftReader.Mistake {
            throw source.corrupt("its footer ends too early")
        }
    }

    public var bytesRead: Int {
        guard rowCount > 0, rowNumber < rowCount else { return source.length }
        return min(source.length, Int(Double(source.length) * (Double(rowNumber) / Double(rowCount))))
    }

    public func select(_ names: [String]) throws {
        let indices = try columns.indices(of: names, file: source.name)
        leaves = []
        selected = try indices.map { index in
            let first = leaves.count
            let column = try column(nodes[index], path: nodes[index].name)
            return (columns[index], ParquetColumn(node: column, leaves: Array(leaves[first...]), budget: budget))
        }
    }

    /// A node with readers for its leaves, which are added to ``leaves``.
    private func column(_ node: ParquetNode, path: String) throws -> ParquetColumn.Node {
        let first = leaves.count
        let form: ParquetColumn.Form
        switch node.form {
        case .leaf(let leaf, let element, let definition, let repetition):
            guard let type = ParquetType(elements[element]) else {
                throw source.unsupported(
                    "Column \"\(path)\", a \(ParquetType.name(of: elements[element])),",
                    "Write it as a string or a number, or leave it out.")
            }
            leaves.append(
                ParquetLeafReader(
                    name: path, index: leaf, type: type, definition: definition, repetition: repetition, source: source,
                    codec: codec, budget: budget))
            form = .leaf
        case .optional(let definition, let inner): form = .optional(definition, try column(inner, path: path))
        case .repeated(let definition, let repetition, let inner):
            form = .repeated(definition, repetition, try column(inner, path: path))
        case .group(let members):
            form = .group(try members.map { (name: $0.name, node: try column($0, path: path + "." + $0.name)) })
        }
        return ParquetColumn.Node(form: form, leaves: Array(leaves[first...]))
    }

    public func nextRow() throws -> TableRow? {
        if selected == nil { try select(columns) }
        while inGroup == 0 {
            guard group < groupCount else {
                guard rowNumber == rowCount else {
                    throw source.corrupt("its row groups have \(rowNumber) rows, and its footer says \(rowCount)")
                }
                return nil
            }
            try startGroup()
        }
        inGroup -= 1
        rowNumber += 1
        budget.startRow()
        var members: [JSONTree.Member] = []
        members.reserveCapacity(selected?.count ?? 0)
        do {
            for (name, column) in selected ?? [] {
                members.append(JSONTree.Member(name: name, value: try column.nextRow()))
            }
        } catch is RowTooLong {
            throw TableError.tooLong(file: source.name, row: rowNumber, line: nil, limit: budget.limit)
        }
        return budget.row(rowNumber, .object(members), file: source.name)
    }

    private func startGroup() throws {
        group += 1
        let description: ParquetRowGroup
        do throws(ThriftReader.Mistake) {
            description = try ParquetRowGroup(&groups, leaves: Set(leaves.map(\.index)))
        } catch {
            throw source.corrupt("the description of row group \(group)")
        }
        guard description.rowCount >= 0, description.rowCount <= rowCount - rowNumber else {
            throw source.corrupt("row group \(group) has \(description.rowCount) rows, and the file \(rowCount)")
        }
        inGroup = description.rowCount
        for leaf in leaves {
            guard let chunk = description.chunks[leaf.index] else {
                throw source.corrupt("row group \(group) lacks column \"\(leaf.name)\"")
            }
            try leaf.start(chunk, group: group)
        }
    }
}

/// A column whose rows are put together from its leaves.
private struct ParquetColumn {
    final class Node {
        let form: Form
        let leaves: [ParquetLeafReader]

        init(form: Form, leaves: [ParquetLeafReader]) {
            self.form = form
            self.leaves = leaves
        }
    }

    enum Form {
        case leaf
        /// Null below this definition level.
        case optional(Int, Node)
        /// Empty below this definition level; continued at this repetition level.
        case repeated(Int, Int, Node)
        case group([(name: String, node: Node)])
    }

    let node: Node
    let leaves: [ParquetLeafReader]
    let budget: RowBudget

    /// The next row's value.
    func nextRow() throws -> JSONTree {
        for leaf in leaves {
            guard let head = try leaf.head() else { throw leaf.corrupt("it has fewer rows than the group") }
            guard head.repetition == 0 else { throw leaf.corrupt("a row begins inside a list") }
        }
        return try value(of: node)
    }

    // The recursion is as deep as the schema, whose depth is limited.
    private func value(of node: Node) throws -> JSONTree {
        switch node.form {
        case .leaf:
            let value = try node.leaves[0].take()
            if case .string(let text) = value { try budget.add(text.utf8.count) } else { try budget.add() }
            return value
        case .optional(let definition, let inner):
            return try isAbsent(node, below: definition) ? .null : value(of: inner)
        case .repeated(let definition, let repetition, let inner):
            try budget.add()
            if try isAbsent(node, below: definition) { return .array([]) }
            var elements: [JSONTree] = []
            repeat {
                elements.append(try value(of: inner))
            } while try continues(node, at: repetition)
            return .array(elements)
        case .group(let members):
            try budget.add()
            return .object(try members.map { JSONTree.Member(name: $0.name, value: try value(of: $0.node)) })
        }
    }

    /// Whether the node does not exist here; its leaves' entries are then passed over.
    private func isAbsent(_ node: Node, below definition: Int) throws -> Bool {
        let first = node.leaves[0]
        guard let level = try first.head()?.definition else { throw first.corrupt("its values end too early") }
        guard level < definition else { return false }
        for leaf in node.leaves {
            guard try leaf.head()?.definition == level else {
                throw leaf.corrupt("its nulls differ from those beside it")
            }
            leaf.passNull()
        }
        try budget.add()
        return true
    }

    /// Whether the list has another element.
    private func continues(_ node: Node, at repetition: Int) throws -> Bool {
        let level = try node.leaves[0].head()?.repetition ?? 0
        for leaf in node.leaves.dropFirst() {
            guard try leaf.head()?.repetition ?? 0 == level else {
                throw leaf.corrupt("its lists differ from those beside it")
            }
        }
        guard level <= repetition else { throw node.leaves[0].corrupt("a list that nobody began continues") }
        return level == repetition
    }
}
