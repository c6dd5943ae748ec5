import Foundation
import JSON
import Tables

/// The files that `scripts/fixtures/tables.py` makes.
enum TableFixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// The lines of a file of JSON lines.
    static func lines(_ name: String) throws -> [JSONTree] {
        try bytes(name).split(separator: UInt8(ascii: "\n")).map { try JSONReader.read(Array($0)) }
    }

    static func open(_ name: String, _ bytes: [UInt8]) throws -> any TableReader {
        let source = TableSource.bytes(bytes, name: name)
        return name.hasSuffix(".parquet") ? try ParquetReader(source) : try ArrowReader(source)
    }

    static func open(_ name: String) throws -> any TableReader {
        let source = try TableSource.file(folder.appendingPathComponent(name).path, name: name)
        return name.hasSuffix(".parquet") ? try ParquetReader(source) : try ArrowReader(source)
    }

    /// Separated values, given to the reader in small parts.
    static func separated(_ bytes: [UInt8], separator: Unicode.Scalar = ",", part: Int = 7) throws
        -> SeparatedValuesReader
    {
        var rest = bytes[...]
        let next: () -> [UInt8]? = {
            let next = Array(rest.prefix(part))
            rest = rest.dropFirst(part)
            return next.isEmpty ? nil : next
        }
        return try SeparatedValuesReader(
            separator: UInt8(ascii: separator), file: "x.csv", bytesRead: { 0 }, nextInput: next)
    }
}

extension TableReader {
    /// All rows.
    func rows() throws -> [JSONTree] {
        var rows: [JSONTree] = []
        while let row = try nextRow() { rows.append(try row.values.get()) }
        return rows
    }
}

extension JSONTree {
    /// The same value with every number in one spelling, for comparisons of numbers written by several programs.
    var normalized: JSONTree {
        switch self {
        case .number(let digits) where digits.contains { ".eE".contains($0) }: .number("\(Double(digits) ?? .nan)")
        case .array(let elements): .array(elements.map(\.normalized))
        case .object(let members): .object(members.map { Member(name: $0.name, value: $0.value.normalized) })
        default: self
        }
    }
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
