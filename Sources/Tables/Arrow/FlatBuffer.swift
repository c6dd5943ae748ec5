import Files

/// A table in a FlatBuffer (flatbuffers.dev, "FlatBuffer internals"): every read is checked against the buffer.
struct FlatTable {
    /// Says that an offset or a field is outside of the buffer.
    struct Mistake: Error {}

    private let bytes: [UInt8]
    private let position: Int
    private let fields: Int
    private let fieldsEnd: Int

    /// The table to which the buffer's first four bytes point.
    init(root bytes: [UInt8]) throws(Mistake) {
        try self.init(bytes, at: Self.offset(bytes, at: 0))
    }

    private init(_ bytes: [UInt8], at position: Int) throws(Mistake) {
        self.bytes = bytes
        self.position = position
        let distance = Int(try Self.number(bytes, at: position, Int32.self))
        let (fields, overflow) = position.subtractingReportingOverflow(distance)
        guard !overflow, fields >= 0 else { throw Mistake() }
        let size = Int(try Self.number(bytes, at: fields, UInt16.self))
        guard size >= 4, size <= bytes.count - fields else { throw Mistake() }
        self.fields = fields + 4
        fieldsEnd = fields + size
    }

    /// A number; the default if the field is absent.
    func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ field: Int, default value: Number
    ) throws(Mistake) -> Number {
        guard let place = try place(of: field) else { return value }
        return try Self.number(bytes, at: place, Number.self)
    }

    func boolean(_ field: Int) throws(Mistake) -> Bool { try number(field, default: UInt8(0)) != 0 }

    /// A table; nil if the field is absent.
    func table(_ field: Int) throws(Mistake) -> FlatTable? {
        guard let place = try place(of: field) else { return nil }
        return try FlatTable(bytes, at: Self.offset(bytes, at: place))
    }

    func string(_ field: Int) throws(Mistake) -> String {
        guard let (start, count) = try vector(field, width: 1) else { return "" }
        return String(decoding: bytes[start..<(start + count)], as: UTF8.self)
    }

    /// The tables of a vector; empty if the field is absent.
    func tables(_ field: Int, limit: Int) throws(Mistake) -> [FlatTable] {
        guard let (start, count) = try vector(field, width: 4) else { return [] }
        guard count <= limit else { throw Mistake() }
        var tables: [FlatTable] = []
        for index in 0..<count {
            tables.append(try FlatTable(bytes, at: Self.offset(bytes, at: start + 4 * index)))
        }
        return tables
    }

    /// The structures of a vector, each of two 64-bit numbers.
    func pairs(_ field: Int) throws(Mistake) -> [(Int, Int)] {
        guard let (start, count) = try vector(field, width: 16) else { return [] }
        let span = bytes.span.bytes
        return (0..<count).map { index in
            let place = start + 16 * index
            return (Int(span.littleEndian(Int64.self, at: place)), Int(span.littleEndian(Int64.self, at: place + 8)))
        }
    }

    /// Where a vector's elements begin, and their number, all of them inside the buffer.
    private func vector(_ field: Int, width: Int) throws(Mistake) -> (start: Int, count: Int)? {
        guard let place = try place(of: field) else { return nil }
        let start = try Self.offset(bytes, at: place)
        let count = Int(try Self.number(bytes, at: start, UInt32.self))
        guard count <= (bytes.count - start - 4) / width else { throw Mistake() }
        return (start + 4, count)
    }

    private func place(of field: Int) throws(Mistake) -> Int? {
        let entry = fields + 2 * field
        guard entry + 2 <= fieldsEnd else { return nil }
        let offset = Int(try Self.number(bytes, at: entry, UInt16.self))
        return offset == 0 ? nil : position + offset
    }

    /// Where the offset at a position points.
    private static func offset(_ bytes: [UInt8], at position: Int) throws(Mistake) -> Int {
        position + Int(try number(bytes, at: position, UInt32.self))
    }

    private static func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: [UInt8], at position: Int, _ type: Number.Type
    ) throws(Mistake) -> Number {
        guard position >= 0, position <= bytes.count - MemoryLayout<Number>.size else { throw Mistake() }
        return bytes.span.bytes.littleEndian(type, at: position)
    }
}
