import Files
import JSON

/// Reads the values of a field in one batch, one after another.
final class ArrowColumn {
    private let name: String
    private let form: Form
    private let source: TableSource
    private let budget: RowBudget
    private var remaining: Int
    private let validity: ArrowBuffer?
    private var validityByte: UInt8 = 0
    private var validityBits = 0

    private enum Form {
        case null
        case boolean(Bits)
        case integer(bytes: Int, isSigned: Bool, ArrowBuffer)
        case float(bytes: Int, ArrowBuffer)
        case text(Offsets, ArrowBuffer)
        case list(Offsets, ArrowColumn)
        case fixedList(count: Int, ArrowColumn)
        case structure([(name: String, column: ArrowColumn)])
        case dictionary(bytes: Int, isSigned: Bool, ArrowBuffer, [JSONTree])
    }

    private final class Bits {
        let buffer: ArrowBuffer
        var byte: UInt8 = 0
        var count = 0

        init(_ buffer: ArrowBuffer) { self.buffer = buffer }

        func next() throws -> Bool {
            if count == 0 {
                byte = try buffer.number(UInt8.self)
                count = 8
            }
            defer {
                byte >>= 1
                count -= 1
            }
            return byte & 1 == 1
        }
    }

    /// The ends of strings or lists in what holds their contents.
    private final class Offsets {
        let buffer: ArrowBuffer
        let bytes: Int
        /// Where the last one ended; nil before the first.
        var position: Int?

        init(_ buffer: ArrowBuffer, bytes: Int) {
            self.buffer = buffer
            self.bytes = bytes
        }

        /// - Returns: The range of the next one; nil if the offsets do not grow.
        func next() throws -> Range<Int>? {
            let start = try position ?? number()
            let end = try number()
            guard start >= 0, end >= start else { return nil }
            position = end
            return start..<end
        }

        private func number() throws -> Int {
            bytes == 4 ? Int(try buffer.number(Int32.self)) : Int(try buffer.number(Int64.self))
        }
    }

    /// - Parameters:
    ///   - isValues: Whether the values themselves are read where the field refers to a dictionary.
    ///   - node: The index of the field's node in the batch, and of its first buffer; moved past the field.
    init(
        _ field: ArrowField, path: String, batch: ArrowBatch, dictionaries: [Int64: [JSONTree]], budget: RowBudget,
        isValues: Bool = false, node: inout Int, buffer: inout Int
    ) throws {
        name = path
        source = batch.source
        self.budget = budget
        let description = try batch.node(node)
        remaining = description.length
        node += 1
        func nextBuffer() throws -> ArrowBuffer {
            defer { buffer += 1 }
            return try batch.buffer(buffer)
        }
        func child(_ field: ArrowField, path: String) throws -> ArrowColumn {
            try ArrowColumn(
                field, path: path, batch: batch, dictionaries: dictionaries, budget: budget, node: &node,
                buffer: &buffer)
        }
        if case .null = field.form, field.dictionary == nil || isValues {
            validity = nil
            form = .null
            return
        }
        let mask = try nextBuffer()
        validity = mask.isEmpty || description.nullCount == 0 ? nil : mask
        if let dictionary = field.dictionary, !isValues {
            guard let values = dictionaries[dictionary.id] else {
                throw batch.source.corrupt("column \"\(path)\" refers to a dictionary that the file does not have")
            }
            form = .dictionary(bytes: dictionary.bytes, isSigned: dictionary.isSigned, try nextBuffer(), values)
            return
        }
        form =
            switch field.form {
            case .null: .null
            case .boolean: .boolean(Bits(try nextBuffer()))
            case .integer(let bytes, let isSigned): .integer(bytes: bytes, isSigned: isSigned, try nextBuffer())
            case .float(let bytes): .float(bytes: bytes, try nextBuffer())
            case .text(let bytes): .text(Offsets(try nextBuffer(), bytes: bytes), try nextBuffer())
            case .list(let bytes, let element):
                .list(Offsets(try nextBuffer(), bytes: bytes), try child(element, path: path))
            case .fixedList(let count, let element): .fixedList(count: count, try child(element, path: path))
            case .structure(let members):
                .structure(try members.map { (name: $0.name, column: try child($0, path: path + "." + $0.name)) })
            case .other(let name): throw batch.source.unsupported("Column \"\(path)\", a \(name),", ArrowReader.advice)
            }
    }

    // The recursion is as deep as the schema, whose depth is limited.
    func next() throws -> JSONTree {
        guard remaining > 0 else { throw corrupt("it has fewer values than its batch has rows") }
        remaining -= 1
        try budget.add()
        let isValid = try nextValidity()
        switch form {
        case .null:
            return .null
        case .boolean(let bits):
            let value = try bits.next()
            return isValid ? .boolean(value) : .null
        case .integer(let bytes, let isSigned, let buffer):
            let digits = try integer(bytes, isSigned, buffer)
            return isValid ? .number(digits) : .null
        case .float(let bytes, let buffer):
            let value: JSONTree =
                bytes == 4
                ? .init(Float(bitPattern: try buffer.number(UInt32.self)))
                : .init(Double(bitPattern: try buffer.number(UInt64.self)))
            return isValid ? value : .null
        case .text(let offsets, let buffer):
            return try text(offsets, buffer, isValid)
        case .list(let offsets, let element):
            guard let range = try offsets.next() else { throw corrupt("the offsets of its lists") }
            let passed = element.passed
            guard range.lowerBound >= passed else { throw corrupt("the offsets of its lists") }
            for _ in passed..<range.lowerBound { try element.pass() }
            return try elements(range.count, of: element, isValid)
        case .fixedList(let count, let element):
            return try elements(count, of: element, isValid)
        case .structure(let members):
            let values = try members.map { JSONTree.Member(name: $0.name, value: try $0.column.next()) }
            return isValid ? .object(values) : .null
        case .dictionary(let bytes, let isSigned, let buffer, let values):
            let index = try integer(bytes, isSigned, buffer)
            guard isValid else { return .null }
            guard let index = Int(index), values.indices.contains(index) else {
                throw corrupt("its dictionary has no value \(index)")
            }
            if case .string(let text) = values[index] { try budget.add(text.utf8.count) }
            return values[index]
        }
    }

    /// The number of values that were read.
    private var passed = 0

    private func pass() throws {
        _ = try next()
        passed += 1
    }

    private func elements(_ count: Int, of element: ArrowColumn, _ isValid: Bool) throws -> JSONTree {
        guard count <= element.remaining else {
            throw corrupt("a list of \(count) values is longer than what it lists")
        }
        var values: [JSONTree] = []
        for _ in 0..<count {
            let value = try element.next()
            element.passed += 1
            if isValid { values.append(value) }
        }
        return isValid ? .array(values) : .null
    }

    private func text(_ offsets: Offsets, _ buffer: ArrowBuffer, _ isValid: Bool) throws -> JSONTree {
        guard let range = try offsets.next(), range.lowerBound >= buffer.offset else {
            throw corrupt("the offsets of its strings")
        }
        try buffer.skip(range.lowerBound - buffer.offset)
        guard isValid else {
            try buffer.skip(range.count)
            return .null
        }
        try budget.add(range.count)
        guard let text = String(validating: try buffer.take(range.count), as: UTF8.self) else {
            budget.note("is not text in UTF-8", in: name)
            return .null
        }
        return .string(text)
    }

    private func integer(_ bytes: Int, _ isSigned: Bool, _ buffer: ArrowBuffer) throws -> String {
        switch (bytes, isSigned) {
        case (1, true): String(try buffer.number(Int8.self))
        case (1, false): String(try buffer.number(UInt8.self))
        case (2, true): String(try buffer.number(Int16.self))
        case (2, false): String(try buffer.number(UInt16.self))
        case (4, true): String(try buffer.number(Int32.self))
        case (4, false): String(try buffer.number(UInt32.self))
        case (_, true): String(try buffer.number(Int64.self))
        case (_, false): String(try buffer.number(UInt64.self))
        }
    }

    private func nextValidity() throws -> Bool {
        guard let validity else { return true }
        if validityBits == 0 {
            validityByte = try validity.number(UInt8.self)
            validityBits = 8
        }
        defer {
            validityByte >>= 1
            validityBits -= 1
        }
        return validityByte & 1 == 1
    }

    private func corrupt(_ reason: String) -> TableError { source.corrupt("column \"\(name)\": \(reason)") }
}
