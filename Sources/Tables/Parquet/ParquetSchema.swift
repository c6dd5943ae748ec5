/// A node of a table's shape.
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
