/// Reads Thrift's compact protocol, in which Parquet writes its footer and the headers of its pages.
///
/// (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md.) Nothing is trusted: every read is within the bytes, and structures
/// nest no deeper than ``maximumDepth``.
struct ThriftReader {
    enum Mistake: Error {
        /// The bytes end too early.
        case ended
        case malformed(String)
    }

    enum Kind {
        static let yes: UInt8 = 1
        static let no: UInt8 = 2
        static let byte: UInt8 = 3
        static let i16: UInt8 = 4
        static let i32: UInt8 = 5
        static let i64: UInt8 = 6
        static let double: UInt8 = 7
        static let binary: UInt8 = 8
        static let list: UInt8 = 9
        static let set: UInt8 = 10
        static let map: UInt8 = 11
        static let structure: UInt8 = 12
        static let uuid: UInt8 = 13
    }

    private let bytes: [UInt8]
    private(set) var position: Int

    private static let maximumDepth = 32

    init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// The next field of a structure; nil at its end.
    ///
    /// - Parameter last: The number of the field before it; 0 at the start of a structure.
    mutating func field(after last: inout Int) throws(Mistake) -> (id: Int, kind: UInt8)? {
        let head = try byte()
        guard head != 0 else { return nil }
        let step = Int(head >> 4)
        let id = step == 0 ? Int(truncatingIfNeeded: try integer()) : last + step
        guard (0...Int(Int16.max)).contains(id) else { throw .malformed("a field has the number \(id)") }
        last = id
        return (id, head & 0x0f)
    }

    mutating func list() throws(Mistake) -> (count: Int, kind: UInt8) {
        let head = try byte()
        var count = Int(head >> 4)
        if count == 15 {
            guard let long = Int(exactly: try varint()) else { throw .malformed("a list is too long") }
            count = long
        }
        // Every element has at least one byte.
        guard count <= bytes.count - position else { throw .ended }
        return (count, head & 0x0f)
    }

    mutating func byte() throws(Mistake) -> UInt8 {
        guard position < bytes.count else { throw .ended }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func varint() throws(Mistake) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            let byte = try byte()
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw .malformed("a number has more than 10 bytes")
    }

    /// An integer of any width.
    mutating func integer() throws(Mistake) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func string() throws(Mistake) -> String {
        let range = try binary()
        return String(decoding: bytes[range], as: UTF8.self)
    }

    private mutating func binary() throws(Mistake) -> Range<Int> {
        let length = try varint()
        guard length <= UInt64(bytes.count - position) else { throw .ended }
        let start = position
        position += Int(length)
        return start..<position
    }

    mutating func skip(_ kind: UInt8, depth: Int = 0) throws(Mistake) {
        guard depth < Self.maximumDepth else {
            throw .malformed("structures are nested deeper than \(Self.maximumDepth)")
        }
        switch kind {
        case Kind.yes, Kind.no: break
        case Kind.byte: _ = try byte()
        case Kind.i16, Kind.i32, Kind.i64: _ = try varint()
        case Kind.double: try skip(bytes: 8)
        case Kind.uuid: try skip(bytes: 16)
        case Kind.binary: _ = try binary()
        case Kind.list, Kind.set:
            let (count, kind) = try list()
            for _ in 0..<count { try skipElement(kind, depth: depth + 1) }
        case Kind.map:
            guard let count = Int(exactly: try varint()), count <= bytes.count - position else { throw .ended }
            guard count > 0 else { return }
            let kinds = try byte()
            for _ in 0..<count {
                try skipElement(kinds >> 4, depth: depth + 1)
                try skipElement(kinds & 0x0f, depth: depth + 1)
            }
        case Kind.structure:
            var last = 0
            while let (_, kind) = try field(after: &last) { try skip(kind, depth: depth + 1) }
        default:
            throw .malformed("there is no type \(kind)")
        }
    }

    /// Skips a list's element, in which a boolean has a byte of its own.
    private mutating func skipElement(_ kind: UInt8, depth: Int) throws(Mistake) {
        if kind == Kind.yes || kind == Kind.no { _ = try byte() } else { try skip(kind, depth: depth) }
    }

    private mutating func skip(bytes count: Int) throws(Mistake) {
        guard count <= bytes.count - position else { throw .ended }
        position += count
    }
}
