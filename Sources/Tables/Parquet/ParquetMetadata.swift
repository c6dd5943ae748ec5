// What a Parquet file says about itself, in its footer and before each page. The numbers of fields and codes are those of
// github.com/apache/parquet-format, src/main/thrift/parquet.thrift.

/// The footer: the schema, and where the row groups' descriptions are.
struct ParquetFooter {
    /// The schema's nodes, a node before its children.
    private(set) var schema: [ParquetSchemaElement] = []
    private(set) var rowCount = 0
    private(set) var groupCount = 0
    /// A reader at the first row group. Groups are read when their turn comes: some files have very many.
    private(set) var groups: ThriftReader

    init(_ bytes: [UInt8]) throws(ThriftReader.Mistake) {
        var reader = ThriftReader(bytes)
        groups = reader
        var hasGroups = false
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (2, ThriftReader.Kind.list):
                let (count, _) = try reader.list()
                guard count <= TableLimits.columns else {
                    throw .malformed("the schema has \(count) nodes, more than \(TableLimits.columns)")
                }
                for _ in 0..<count { schema.append(try ParquetSchemaElement(&reader)) }
            case (3, ThriftReader.Kind.i64):
                rowCount = Int(try reader.integer())
            case (4, ThriftReader.Kind.list):
                groupCount = try reader.list().count
                groups = reader
                hasGroups = true
                for _ in 0..<groupCount { try reader.skip(ThriftReader.Kind.structure) }
            default:
                try reader.skip(kind)
            }
        }
        guard hasGroups, !schema.isEmpty, rowCount >= 0 else {
            throw .malformed("the footer lacks the schema or the row groups")
        }
    }
}

struct ParquetSchemaElement {
    enum Repetition: Int64 { case required, optional, repeated }

    /// What the bytes of a value mean.
    enum Meaning: Equatable {
        case plain, text, unsigned, list, map
        /// A type that has no form in JSON.
        case other(String)
    }

    private(set) var name = ""
    private(set) var type: Int64?
    private(set) var repetition = Repetition.required
    private(set) var childCount = 0
    private(set) var meaning = Meaning.plain

    fileprivate init(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) {
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.i32): type = try reader.integer()
            case (3, ThriftReader.Kind.i32):
                guard let value = Repetition(rawValue: try reader.integer()) else {
                    throw .malformed("a column's repetition")
                }
                repetition = value
            case (4, ThriftReader.Kind.binary): name = try reader.string()
            case (5, ThriftReader.Kind.i32):
                guard let count = Int(exactly: try reader.integer()), count >= 0 else {
                    throw .malformed("a number of children")
                }
                childCount = count
            case (6, ThriftReader.Kind.i32): meaning = Self.converted(try reader.integer())
            case (10, ThriftReader.Kind.structure): meaning = try Self.logical(&reader) ?? meaning
            default: try reader.skip(kind)
            }
        }
    }

    private static func converted(_ code: Int64) -> Meaning {
        switch code {
        case 0, 4, 19: .text
        case 1, 2: .map
        case 3: .list
        case 5: .other("decimal number")
        case 6: .other("date")
        case 7, 8: .other("time")
        case 9, 10: .other("timestamp")
        case 11...14: .unsigned
        case 20: .other("BSON value")
        case 21: .other("interval")
        default: .plain
        }
    }

    /// The meaning of the logical type, a union; nil if it is a newer one.
    private static func logical(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) -> Meaning? {
        var meaning: Meaning?
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch id {
            case 1, 4, 12: meaning = .text
            case 2: meaning = .map
            case 3: meaning = .list
            case 5: meaning = .other("decimal number")
            case 6: meaning = .other("date")
            case 7: meaning = .other("time")
            case 8: meaning = .other("timestamp")
            case 13: meaning = .other("BSON value")
            case 14: meaning = .other("UUID")
            case 15: meaning = .other("16-bit floating-point number")
            case 10 where kind == ThriftReader.Kind.structure:
                meaning = try integer(&reader)
                continue
            default: break
            }
            try reader.skip(kind)
        }
        return meaning
    }

    private static func integer(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) -> Meaning {
        var isSigned = true
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            if id == 2 { isSigned = kind != ThriftReader.Kind.no }
            try reader.skip(kind)
        }
        return isSigned ? .plain : .unsigned
    }
}

/// A row group: where the pages of each leaf of the schema are.
struct ParquetRowGroup {
    struct Chunk {
        var type: Int64 = -1
        var codec: Int64 = -1
        var valueCount = -1
        var compressedSize = -1
        var dataOffset = -1
        var dictionaryOffset: Int?
        var isElsewhere = false
        var isEncrypted = false

        /// The offset of the first page.
        var start: Int {
            if let dictionaryOffset, dictionaryOffset > 0, dictionaryOffset < dataOffset {
                dictionaryOffset
            } else {
                dataOffset
            }
        }
    }

    private(set) var rowCount = -1
    /// In the order of the schema's leaves; only those that were asked for.
    private(set) var chunks: [Int: Chunk] = [:]

    init(_ reader: inout ThriftReader, leaves: Set<Int>) throws(ThriftReader.Mistake) {
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.list):
                let (count, _) = try reader.list()
                for leaf in 0..<count {
                    if leaves.contains(leaf) {
                        chunks[leaf] = try Self.chunk(&reader)
                    } else {
                        try reader.skip(ThriftReader.Kind.structure)
                    }
                }
            case (3, ThriftReader.Kind.i64): rowCount = Int(try reader.integer())
            default: try reader.skip(kind)
            }
        }
    }

    private static func chunk(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) -> Chunk {
        var chunk = Chunk()
        var isElsewhere = false
        var isEncrypted = false
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.binary): isElsewhere = try !reader.string().isEmpty
            case (3, ThriftReader.Kind.structure): chunk = try metadata(&reader)
            case (8, ThriftReader.Kind.structure):
                isEncrypted = true
                try reader.skip(kind)
            default: try reader.skip(kind)
            }
        }
        chunk.isElsewhere = isElsewhere
        chunk.isEncrypted = isEncrypted
        return chunk
    }

    private static func metadata(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) -> Chunk {
        var chunk = Chunk()
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.i32): chunk.type = try reader.integer()
            case (4, ThriftReader.Kind.i32): chunk.codec = try reader.integer()
            case (5, ThriftReader.Kind.i64): chunk.valueCount = Int(try reader.integer())
            case (7, ThriftReader.Kind.i64): chunk.compressedSize = Int(try reader.integer())
            case (9, ThriftReader.Kind.i64): chunk.dataOffset = Int(try reader.integer())
            case (11, ThriftReader.Kind.i64): chunk.dictionaryOffset = Int(try reader.integer())
            default: try reader.skip(kind)
            }
        }
        return chunk
    }
}

struct ParquetPageHeader {
    enum Kind: Int64 { case data, index, dictionary, dataV2 }

    private(set) var kind: Int64 = -1
    private(set) var size = -1
    private(set) var compressedSize = -1
    private(set) var checksum: UInt32?
    private(set) var valueCount = -1
    private(set) var encoding: Int64 = -1
    private(set) var definitionEncoding: Int64 = 3
    private(set) var repetitionEncoding: Int64 = 3
    // Of pages of version 2.
    private(set) var definitionSize = 0
    private(set) var repetitionSize = 0
    private(set) var isCompressed = true

    init(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) {
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.i32): self.kind = try reader.integer()
            case (2, ThriftReader.Kind.i32): size = Int(try reader.integer())
            case (3, ThriftReader.Kind.i32): compressedSize = Int(try reader.integer())
            case (4, ThriftReader.Kind.i32): checksum = UInt32(truncatingIfNeeded: try reader.integer())
            case (5, ThriftReader.Kind.structure), (7, ThriftReader.Kind.structure): try readHeader(&reader)
            case (8, ThriftReader.Kind.structure): try readHeaderV2(&reader)
            default: try reader.skip(kind)
            }
        }
    }

    private mutating func readHeader(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) {
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.i32): valueCount = Int(try reader.integer())
            case (2, ThriftReader.Kind.i32): encoding = try reader.integer()
            case (3, ThriftReader.Kind.i32): definitionEncoding = try reader.integer()
            case (4, ThriftReader.Kind.i32): repetitionEncoding = try reader.integer()
            default: try reader.skip(kind)
            }
        }
    }

    private mutating func readHeaderV2(_ reader: inout ThriftReader) throws(ThriftReader.Mistake) {
        var last = 0
        while let (id, kind) = try reader.field(after: &last) {
            switch (id, kind) {
            case (1, ThriftReader.Kind.i32): valueCount = Int(try reader.integer())
            case (4, ThriftReader.Kind.i32): encoding = try reader.integer()
            case (5, ThriftReader.Kind.i32): definitionSize = Int(try reader.integer())
            case (6, ThriftReader.Kind.i32): repetitionSize = Int(try reader.integer())
            case (7, ThriftReader.Kind.yes): isCompressed = true
            case (7, ThriftReader.Kind.no): isCompressed = false
            default: try reader.skip(kind)
            }
        }
    }
}

struct ParquetNode {
    indirect enum Form {
        /// The index among the schema's leaves, the index of the schema's element, and the levels.
        case leaf(Int, element: Int, definition: Int, repetition: Int)
        /// Null below this definition level.
        case optional(Int, ParquetNode)
        /// A list: empty below this definition level, continued at this repetition level.
        case repeated(Int, Int, ParquetNode)
        case group([ParquetNode])
    }

    let name: String
    let form: Form
}

/// Makes the tree of a schema from its list of nodes, a node before its children.
struct ParquetSchema {
    private let elements: [ParquetSchemaElement]
    private var next = 0
    private var leafCount = 0

    init(elements: [ParquetSchemaElement]) { self.elements = elements }

    /// The table's columns, which are the children of the first node.
    mutating func columns() throws(ThriftReader.Mistake) -> [ParquetNode] {
        guard let root = elements.first else { throw .ended }
        next = 1
        var columns: [ParquetNode] = []
        for _ in 0..<root.childCount { columns.append(try node(definition: 0, repetition: 0, depth: 0)) }
        guard next == elements.count else { throw .malformed("nodes outside of the schema") }
        return columns
    }

    private mutating func node(
        definition: Int, repetition: Int, depth: Int
    ) throws(ThriftReader.Mistake) -> ParquetNode {
        guard next < elements.count, depth < TableLimits.depth else { throw .ended }
        let index = next
        let element = elements[index]
        next += 1
        let definition = definition + (element.repetition == .required ? 0 : 1)
        let repetition = repetition + (element.repetition == .repeated ? 1 : 0)
        let form: ParquetNode.Form
        if element.childCount == 0 {
            guard element.type != nil else { throw .malformed("a structure without members") }
            form = .leaf(leafCount, element: index, definition: definition, repetition: repetition)
            leafCount += 1
        } else if element.meaning == .list || element.meaning == .map, element.childCount == 1, next < elements.count,
            elements[next].repetition == .repeated
        {
            form = try list(element, definition: definition, repetition: repetition, depth: depth + 1)
        } else {
            var members: [ParquetNode] = []
            for _ in 0..<element.childCount {
                members.append(try node(definition: definition, repetition: repetition, depth: depth + 1))
            }
            form = .group(members)
        }
        let inner = ParquetNode(name: element.name, form: form)
        return switch element.repetition {
        case .required: inner
        case .optional: ParquetNode(name: element.name, form: .optional(definition, inner))
        case .repeated: ParquetNode(name: element.name, form: .repeated(definition, repetition, inner))
        }
    }

    /// The list in a group that is marked as one: the group's only child is repeated, and has the element as its only child, or is the
    /// element itself (github.com/apache/parquet-format, LogicalTypes.md, "Lists" and its rules for older files).
    private mutating func list(
        _ list: ParquetSchemaElement, definition: Int, repetition: Int, depth: Int
    ) throws(ThriftReader.Mistake) -> ParquetNode.Form {
        let repeated = elements[next]
        let isElement =
            repeated.childCount != 1 || list.meaning == .map || repeated.name == "array"
            || repeated.name == list.name + "_tuple"
        if isElement { return try node(definition: definition, repetition: repetition, depth: depth).form }
        next += 1
        let element = try node(definition: definition + 1, repetition: repetition + 1, depth: depth + 1)
        return .repeated(definition + 1, repetition + 1, element)
    }
}
