// The shape of an Arrow table. The numbers of fields and types are those of github.com/apache/arrow, format/Schema.fbs.

/// A column, or a field inside one.
struct ArrowField {
    indirect enum Form {
        case null
        case boolean
        case integer(bytes: Int, isSigned: Bool)
        case float(bytes: Int)
        /// Strings, or bytes that must be text; offsets of four or eight bytes.
        case text(offsetBytes: Int)
        case list(offsetBytes: Int, ArrowField)
        case fixedList(count: Int, ArrowField)
        case structure([ArrowField])
        /// Values that have no form in JSON or are laid out in a way that is not read: with what they are called.
        case other(String)
    }

    let name: String
    let form: Form
    /// The number of the dictionary with its values, and the form of the numbers that refer to them.
    let dictionary: (id: Int64, bytes: Int, isSigned: Bool)?
    /// The nodes and buffers that the field takes up in a batch.
    let nodeCount: Int
    let bufferCount: Int
    /// Whether the number of buffers differs from batch to batch.
    let hasVariadicBuffers: Bool

    /// Reads a field and those inside it.
    ///
    /// - Parameter budget: The number of fields that the schema may still have.
    init(_ table: FlatTable, depth: Int, budget: inout Int) throws(FlatTable.Mistake) {
        budget -= 1
        guard depth < TableLimits.depth, budget >= 0 else { throw FlatTable.Mistake() }
        name = try table.string(0)
        var children: [ArrowField] = []
        for child in try table.tables(5, limit: budget) {
            children.append(try ArrowField(child, depth: depth + 1, budget: &budget))
        }
        let type = try table.table(3)
        let kind = try table.number(2, default: UInt8(0))
        var ownBuffers = 2
        form = try Self.form(kind, type, children, buffers: &ownBuffers)
        var variadic = kind == 23 || kind == 24
        var nodes = 1
        var buffers = ownBuffers
        if let encoding = try table.table(4) {
            let index = try encoding.table(1)
            dictionary = (
                try encoding.number(0, default: 0), try Self.bytes(of: index, default: 32),
                try index?.boolean(1) ?? true
            )
            buffers = 2
            variadic = false
        } else {
            dictionary = nil
            for child in children {
                nodes += child.nodeCount
                buffers += child.bufferCount
                variadic = variadic || child.hasVariadicBuffers
            }
        }
        nodeCount = nodes
        bufferCount = buffers
        hasVariadicBuffers = variadic
    }

    private static func form(
        _ kind: UInt8, _ type: FlatTable?, _ children: [ArrowField], buffers: inout Int
    ) throws(FlatTable.Mistake) -> Form {
        func onlyChild() throws(FlatTable.Mistake) -> ArrowField {
            guard children.count == 1, let child = children.first else { throw FlatTable.Mistake() }
            return child
        }
        switch kind {
        case 1:
            buffers = 0
            return .null
        case 2: return .integer(bytes: try bytes(of: type, default: 0), isSigned: try type?.boolean(1) ?? false)
        case 3:
            switch try type?.number(0, default: Int16(0)) ?? 0 {
            case 1: return .float(bytes: 4)
            case 2: return .float(bytes: 8)
            default: return .other("16-bit floating-point number")
            }
        case 4, 5, 19, 20:
            buffers = 3
            return .text(offsetBytes: kind < 10 ? 4 : 8)
        case 6: return .boolean
        case 7: return .other("decimal number")
        case 8: return .other("date")
        case 9: return .other("time")
        case 10: return .other("timestamp")
        case 11: return .other("interval")
        case 12, 17: return .list(offsetBytes: 4, try onlyChild())
        case 21: return .list(offsetBytes: 8, try onlyChild())
        case 13:
            buffers = 1
            return .structure(children)
        case 14:
            // Sparse unions have a buffer of types, dense ones one of offsets too.
            buffers = try type?.number(0, default: Int16(0)) == 1 ? 2 : 1
            return .other("union")
        case 15: return .other("byte string of a fixed length")
        case 16:
            buffers = 1
            let count = Int(try type?.number(0, default: Int32(0)) ?? 0)
            guard count >= 0 else { throw FlatTable.Mistake() }
            return .fixedList(count: count, try onlyChild())
        case 18: return .other("duration")
        case 22:
            buffers = 0
            return .other("run-end encoded value")
        case 23, 24: return .other(kind == 24 ? "string view" : "binary view")
        case 25, 26:
            buffers = 3
            return .other("list view")
        default: throw FlatTable.Mistake()
        }
    }

    /// The bytes of an integer type.
    private static func bytes(of type: FlatTable?, default bits: Int32) throws(FlatTable.Mistake) -> Int {
        let bits = try type?.number(0, default: bits) ?? bits
        guard [8, 16, 32, 64].contains(bits) else { throw FlatTable.Mistake() }
        return Int(bits / 8)
    }

    /// The path to the first value inside the field that cannot be read, and what it is.
    func unreadable(path: String) -> (path: String, name: String)? {
        switch form {
        case .other(let name): (path, name)
        case .list(_, let element), .fixedList(_, let element): element.unreadable(path: path)
        case .structure(let members):
            members.lazy.compactMap { $0.unreadable(path: path + "." + $0.name) }.first
        default: nil
        }
    }

    /// The dictionaries that the field refers to.
    var dictionaries: [(id: Int64, values: ArrowField)] {
        if let dictionary { return [(dictionary.id, self)] }
        return switch form {
        case .list(_, let element), .fixedList(_, let element): element.dictionaries
        case .structure(let members): members.flatMap(\.dictionaries)
        default: []
        }
    }
}
