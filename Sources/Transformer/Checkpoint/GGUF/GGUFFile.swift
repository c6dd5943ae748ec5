import Foundation
import LinearAlgebra

/// An open GGUF file of version 3, little-endian.
///
///     4 bytes   "GGUF"
///     4 bytes   the version, 3
///     8 bytes   the number of tensors
///     8 bytes   the number of entries of metadata
///     metadata  KEY, 4 bytes of type, VALUE; a string is its length in 8 bytes and UTF-8, an array 4 bytes of type, 8 of count
///               and its elements
///     tensors   NAME, 4 bytes: the number of dimensions, 8 bytes each, the fastest first, 4 bytes of type, 8 bytes: the offset of
///               the values from the start of the data
///     data      from the next multiple of `general.alignment` (32), as is each tensor
///
/// Opening a file reads only the metadata and the directory, and checks that everything they refer to lies in the file. Memory for a count
/// is allocated only if the file is long enough for that many entries. Metadata are mapped, so the file must not be shortened in place;
/// values are read on request. (ggml-org/ggml, docs/gguf.md)
public struct GGUFFile: Sendable {
    public static let version: UInt32 = 3
    static let magic = Array("GGUF".utf8)
    /// Far more than any model has, and few enough to be read quickly.
    static let metadataLimit = 65_536
    static let tensorLimit = 262_144

    public let path: String
    public let metadata: [String: GGUFValue]
    public let tensors: [String: GGUFTensor]
    private let contents: FileContents

    /// Opens a file and checks the metadata and the directory, without touching the values.
    ///
    /// - Throws: ``GGUFError``.
    public init(path: String) throws {
        let contents: FileContents
        do {
            contents = try FileContents(path: path)
        } catch {
            throw GGUFError(error, path: path)
        }
        // An empty file cannot be mapped.
        guard contents.count > 0 else { throw GGUFError.notGGUF(file: URL(fileURLWithPath: path).lastPathComponent) }
        let head: Data
        do {
            head = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        } catch {
            throw GGUFError.unreadable(path: path, reason: error.localizedDescription)
        }
        // The path can refer to another file by now; offsets are checked against the shorter one.
        try self.init(path: path, head: head.prefix(contents.count), contents: contents)
    }

    /// Checks a file that is in memory.
    init(path: String, contents: Data) throws {
        try self.init(path: path, head: contents, contents: FileContents(contents))
    }

    private init(path: String, head: Data, contents: FileContents) throws {
        let file = URL(fileURLWithPath: path).lastPathComponent
        var cursor = GGUFCursor(bytes: head, file: file)
        guard head.starts(with: Self.magic) else { throw GGUFError.notGGUF(file: file) }
        try cursor.advance(Self.magic.count, in: "the header")
        let version = try cursor.integer(UInt32.self, in: "the header")
        guard version == 0 || version & 0xFFFF != 0 else { throw GGUFError.bigEndian(file: file) }
        guard version == Self.version else { throw GGUFError.unsupportedVersion(file: file, version: version) }
        let tensorCount = try cursor.integer(UInt64.self, in: "the header")
        let metadataCount = try cursor.integer(UInt64.self, in: "the header")
        for (part, count, limit) in [
            ("the directory of tensors", tensorCount, Self.tensorLimit),
            ("the metadata", metadataCount, Self.metadataLimit),
        ] where count > limit {
            throw GGUFError.tooMany(part: part, file: file, count: count, limit: limit)
        }
        let metadata = try Self.readMetadata(count: metadataCount, &cursor)
        let alignment = try Self.alignment(metadata, file: file)
        tensors = try Self.readDirectory(count: tensorCount, alignment: alignment, &cursor)
        self.metadata = metadata
        self.path = path
        self.contents = contents
    }

    /// The file's name without its folder, for messages.
    public var fileName: String { URL(fileURLWithPath: path).lastPathComponent }

    /// The error for a feature that is not supported.
    func unsupported(_ feature: String) -> GGUFError { .unsupportedFeature(file: fileName, feature: feature) }

    private static func readMetadata(count: UInt64, _ cursor: inout GGUFCursor) throws -> [String: GGUFValue] {
        var metadata: [String: GGUFValue] = [:]
        var remaining = count
        while remaining > 0 {
            remaining -= 1
            let key = try cursor.name(in: "the metadata")
            guard metadata[key] == nil else {
                throw cursor.problem("the key \(SafetensorsError.quoted(key)) occurs twice")
            }
            metadata[key] = try cursor.value(in: SafetensorsError.quoted(key))
        }
        return metadata
    }

    private static func alignment(_ metadata: [String: GGUFValue], file: String) throws -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        guard let alignment = value.integer, alignment >= 8, alignment <= 1 << 30, alignment.nonzeroBitCount == 1 else {
            throw GGUFError.wrongValue(
                key: "general.alignment", file: file, expected: "a power of two from 8 to \(1 << 30)",
                found: value.shown)
        }
        return alignment
    }

    private static func readDirectory(
        count: UInt64, alignment: Int, _ cursor: inout GGUFCursor
    ) throws -> [String: GGUFTensor] {
        struct Entry {
            let name: String
            let type: GGUFTensorType
            let shape: [Int]
            let offset: UInt64
        }
        var entries: [Entry] = []
        var remaining = count
        while remaining > 0 {
            remaining -= 1
            let name = try cursor.name(in: "the directory of tensors")
            let part = "tensor \(SafetensorsError.quoted(name))"
            func invalid(_ problem: String) -> GGUFError {
                .invalidTensor(tensor: name, file: cursor.file, problem: problem)
            }
            let rank = try cursor.integer(UInt32.self, in: part)
            guard (1...4).contains(rank) else { throw invalid("has \(rank) dimensions; expected 1 to 4") }
            let dimensions = try (0..<rank).map { _ in try cursor.integer(UInt64.self, in: part) }
            let code = try cursor.integer(UInt32.self, in: part)
            guard let type = GGUFTensorType(rawValue: code) else {
                throw GGUFError.unsupportedType(tensor: name, file: cursor.file, found: "type \(code)")
            }
            let offset = try cursor.integer(UInt64.self, in: part)
            guard offset.isMultiple(of: UInt64(alignment)) else {
                throw invalid("begins at byte \(offset) of the data; expected a multiple of \(alignment)")
            }
            let shape = dimensions.reversed().compactMap { Int(exactly: $0) }
            guard shape.count == dimensions.count, shape.allSatisfy({ $0 > 0 }) else {
                throw invalid("has a dimension that is 0 or too large for an integer")
            }
            entries.append(Entry(name: name, type: type, shape: shape, offset: offset))
        }
        // Values begin at the next multiple of the alignment; a file without tensors can end before it.
        let start = (cursor.position + alignment - 1) / alignment * alignment
        var tensors: [String: GGUFTensor] = [:]
        var end = start
        for entry in entries.sorted(by: { $0.offset < $1.offset }) {
            func invalid(_ problem: String) -> GGUFError {
                .invalidTensor(tensor: entry.name, file: cursor.file, problem: problem)
            }
            guard let byteCount = entry.type.byteCount(shape: entry.shape) else {
                throw invalid(
                    "is \(SafetensorsError.shown(entry.shape)), which is not a whole number of \(entry.type.name) blocks per row"
                )
            }
            guard tensors[entry.name] == nil else { throw invalid("occurs twice") }
            let available = cursor.bytes.count - start
            guard available >= 0, entry.offset <= UInt64(available), byteCount <= available - Int(entry.offset) else {
                throw GGUFError.truncated(
                    file: cursor.file, byte: cursor.bytes.count,
                    part: "tensor \(SafetensorsError.quoted(entry.name))")
            }
            let first = start + Int(entry.offset)
            guard first >= end else { throw invalid("shares bytes with another") }
            end = first + byteCount
            tensors[entry.name] = GGUFTensor(
                name: entry.name, type: entry.type, shape: entry.shape, byteRange: first..<end)
        }
        return tensors
    }

    /// A tensor's values in Float32: rows of its fastest dimension.
    ///
    /// - Throws: ``GGUFError/missingTensor(tensor:file:)`` and ``GGUFError/unsupportedType(tensor:file:found:)``.
    public func matrix(named name: String) throws -> Matrix {
        guard let tensor = tensors[name] else { throw GGUFError.missingTensor(tensor: name, file: fileName) }
        let columns = tensor.shape.last ?? 1
        let rows = tensor.shape.dropLast().reduce(1, *)
        let bytes: Data
        do {
            bytes = try contents.bytes(tensor.byteRange)
        } catch {
            throw GGUFError(error, path: path)
        }
        guard let matrix = Dequantization.matrix(rows: rows, columns: columns, bytes, tensor.type) else {
            throw GGUFError.unsupportedType(tensor: name, file: fileName, found: tensor.type.name)
        }
        return matrix
    }
}
