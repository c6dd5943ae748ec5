import Files
import Foundation
import LinearAlgebra

/// An open safetensors file.
///
/// Values are read from the disk when they are asked for. The file may be replaced by another while it is open: the old one is
/// still read.
public struct SafetensorsFile: Sendable {
    public let path: String
    /// The texts under `__metadata__`.
    public let metadata: [String: String]
    public let tensors: [String: SafetensorsTensor]
    private let contents: FileContents
    /// Where the header ends and the values begin.
    private let valueStart: Int

    /// Opens a file and checks its whole header, without touching the values.
    ///
    /// - Throws: ``SafetensorsError``.
    public init(path: String) throws {
        let contents: FileContents
        do {
            contents = try FileContents(path: path)
        } catch {
            throw SafetensorsError(error, path: path, expected: 0)
        }
        try self.init(path: path, contents: contents)
    }

    /// Checks a file that is in memory.
    init(path: String, contents: Data) throws {
        try self.init(path: path, contents: FileContents(contents))
    }

    private init(path: String, contents: FileContents) throws {
        let file = Self.fileName(of: path)
        guard contents.count >= SafetensorsHeader.lengthBytes else {
            throw SafetensorsError.tooShort(file: file, byteCount: contents.count)
        }
        func read(_ range: Range<Int>) throws -> Data {
            do {
                return try contents.bytes(range)
            } catch {
                throw SafetensorsError(error, path: path, expected: contents.count)
            }
        }
        let lengthBytes = try read(0..<SafetensorsHeader.lengthBytes)
        let length = lengthBytes.bytes.littleEndian(UInt64.self, at: 0)
        guard length <= SafetensorsHeader.maximumLength else {
            throw SafetensorsError.headerTooLong(
                file: file, length: length, limit: SafetensorsHeader.maximumLength)
        }
        let start = SafetensorsHeader.lengthBytes + Int(length)
        guard start <= contents.count else {
            throw SafetensorsError.truncated(file: file, expected: UInt64(start), found: contents.count)
        }
        let header = try SafetensorsHeader(json: Array(try read(SafetensorsHeader.lengthBytes..<start)), file: file)
        try header.checkCoverage(dataBytes: contents.count - start, headerBytes: Int(length), file: file)
        self.contents = contents
        valueStart = start
        self.path = path
        metadata = header.metadata
        tensors = header.tensors
    }

    /// The file's name without its folder, as messages give it.
    public var fileName: String { Self.fileName(of: path) }

    private static func fileName(of path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }

    /// A tensor of two dimensions as rows x columns, or one of one dimension as 1 x n, converted to Float32.
    ///
    /// F32, F16 and BF16 convert exactly, F64 is rounded to the nearest.
    ///
    /// - Throws: ``SafetensorsError/missingTensor(tensor:file:)``, ``SafetensorsError/wrongRank(tensor:file:found:)`` and
    ///   ``SafetensorsError/wrongType(tensor:file:expected:found:)``.
    public func matrix(named name: String) throws -> Matrix {
        let tensor = try tensor(named: name)
        switch tensor.shape.count {
        case 1: return try matrix(of: tensor, rows: 1, columns: tensor.shape[0])
        case 2: return try matrix(of: tensor, rows: tensor.shape[0], columns: tensor.shape[1])
        default: throw SafetensorsError.wrongRank(tensor: name, file: fileName, found: tensor.shape)
        }
    }

    /// A tensor of shape [rows, columns], or of shape [columns] for one row, converted to Float32.
    ///
    /// - Throws: As ``matrix(named:)``, and ``SafetensorsError/wrongShape(tensor:file:expected:found:)``.
    public func matrix(named name: String, rows: Int, columns: Int) throws -> Matrix {
        let tensor = try tensor(named: name)
        guard tensor.shape == [rows, columns] || (rows == 1 && tensor.shape == [columns]) else {
            let expected = rows == 1 ? [columns] : [rows, columns]
            throw SafetensorsError.wrongShape(tensor: name, file: fileName, expected: expected, found: tensor.shape)
        }
        return try matrix(of: tensor, rows: rows, columns: columns)
    }

    /// The values of an F64 or F32 tensor of any shape, row after row.
    ///
    /// - Throws: ``SafetensorsError/missingTensor(tensor:file:)`` and
    ///   ``SafetensorsError/wrongType(tensor:file:expected:found:)``.
    public func doubles(named name: String) throws -> [Double] {
        let tensor = try tensor(named: name)
        switch tensor.dtype {
        case .float64: return try values(of: tensor) { Double(bitPattern: $0) }
        case .float32: return try values(of: tensor) { Double(Float(bitPattern: $0)) }
        default: throw wrongType(tensor, expected: [.float64, .float32])
        }
    }

    /// The values of an integer or BOOL tensor of any shape, row after row.
    ///
    /// - Throws: ``SafetensorsError/missingTensor(tensor:file:)``,
    ///   ``SafetensorsError/wrongType(tensor:file:expected:found:)``, and for a U64 past `Int64.max`
    ///   ``SafetensorsError/integerTooLarge(tensor:file:value:)``.
    public func integers(named name: String) throws -> [Int64] {
        let tensor = try tensor(named: name)
        switch tensor.dtype {
        case .int64: return try values(of: tensor) { (value: Int64) in value }
        case .int32: return try values(of: tensor) { (value: Int32) in Int64(value) }
        case .int16: return try values(of: tensor) { (value: Int16) in Int64(value) }
        case .int8: return try values(of: tensor) { (value: Int8) in Int64(value) }
        case .uint32: return try values(of: tensor) { (value: UInt32) in Int64(value) }
        case .uint16: return try values(of: tensor) { (value: UInt16) in Int64(value) }
        case .uint8, .boolean: return try values(of: tensor) { (value: UInt8) in Int64(value) }
        case .uint64:
            return try values(of: tensor) { (value: UInt64) in
                guard let signed = Int64(exactly: value) else {
                    throw SafetensorsError.integerTooLarge(tensor: name, file: fileName, value: value)
                }
                return signed
            }
        default:
            throw wrongType(
                tensor, expected: [.int64, .int32, .int16, .int8, .uint64, .uint32, .uint16, .uint8, .boolean])
        }
    }

    /// The name of the tensor with the SHA-256 digest of all bytes of the file that stand before it, the header among them.
    public static let checksumName = "sha256"

    /// Bytes that a checksum is taken of at a time.
    private static let checksumChunk = 1 << 22

    /// Whether the file says what its content should be.
    public var hasChecksum: Bool {
        guard let tensor = tensors[Self.checksumName] else { return false }
        return tensor.dtype == .uint8 && tensor.shape == [ContentDigest.byteCount]
            && tensor.byteRange.upperBound == contents.count - valueStart
    }

    /// Reads the whole file, and compares it with its checksum.
    ///
    /// - Throws: ``SafetensorsError/wrongChecksum(file:)``, also for a file without one.
    /// - Complexity: The file is read once more than its tensors are.
    public func verifyChecksum() throws {
        guard hasChecksum else { throw SafetensorsError.wrongChecksum(file: fileName) }
        let end = contents.count - ContentDigest.byteCount
        var digest = ContentDigest()
        for start in stride(from: 0, to: end, by: Self.checksumChunk) {
            digest.update(try bytes(at: start..<min(start + Self.checksumChunk, end)))
        }
        guard try Array(bytes(at: end..<contents.count)) == digest.bytes else {
            throw SafetensorsError.wrongChecksum(file: fileName)
        }
    }

    private func tensor(named name: String) throws -> SafetensorsTensor {
        guard let tensor = tensors[name] else {
            throw SafetensorsError.missingTensor(tensor: name, file: fileName)
        }
        return tensor
    }

    private func wrongType(_ tensor: SafetensorsTensor, expected: [SafetensorsType]) -> SafetensorsError {
        .wrongType(tensor: tensor.name, file: fileName, expected: expected, found: tensor.dtype)
    }

    private func bytes(of tensor: SafetensorsTensor) throws -> Data {
        try bytes(at: valueStart + tensor.byteRange.lowerBound..<valueStart + tensor.byteRange.upperBound)
    }

    private func bytes(at range: Range<Int>) throws -> Data {
        do {
            return try contents.bytes(range)
        } catch {
            throw SafetensorsError(error, path: path, expected: contents.count)
        }
    }

    private func matrix(of tensor: SafetensorsTensor, rows: Int, columns: Int) throws -> Matrix {
        if let format = NumberFormat(rawValue: tensor.dtype.rawValue),
            let matrix = Matrix(rows: rows, columns: columns, bytes: try bytes(of: tensor), format: format)
        {
            return matrix
        }
        guard tensor.dtype == .float64 else {
            throw wrongType(tensor, expected: [.float32, .float16, .bfloat16, .float64])
        }
        return Matrix(rows: rows, columns: columns, elements: try values(of: tensor) { Float(Double(bitPattern: $0)) })
    }

    /// A tensor's values, which may lie at any address. `Stored` is an integer of the width that the type has.
    private func values<Stored: FixedWidthInteger & BitwiseCopyable, Value>(
        of tensor: SafetensorsTensor, convert: (Stored) throws -> Value
    ) throws -> [Value] {
        let stored = try bytes(of: tensor)
        let bytes = stored.bytes
        return try (0..<tensor.count).map { index in
            try convert(bytes.littleEndian(Stored.self, at: index * MemoryLayout<Stored>.size))
        }
    }
}
