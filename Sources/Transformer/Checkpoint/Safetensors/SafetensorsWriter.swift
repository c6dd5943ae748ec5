import Files
import Foundation
import LinearAlgebra

/// Writes tensors to a safetensors file atomically: a temporary file is renamed when it is complete.
///
/// Values are converted one tensor at a time as they are written. As in the reference implementation, wider types come first, and
/// names are sorted within a type: every tensor is aligned to its type, and the same tensors give the same bytes.
public struct SafetensorsWriter: Sendable {
    private enum Values {
        case matrix(Matrix, NumberFormat)
        case doubles([Double])
        case integers([Int64])
        /// The checksum of all bytes before it.
        case checksum

        var count: Int {
            switch self {
            case .matrix(let matrix, _): matrix.count
            case .doubles(let values): values.count
            case .integers(let values): values.count
            case .checksum: ContentDigest.byteCount
            }
        }

        var dtype: SafetensorsType {
            switch self {
            case .matrix(_, .float32): .float32
            case .matrix(_, .float16): .float16
            case .matrix(_, .bfloat16): .bfloat16
            case .doubles: .float64
            case .integers: .int64
            case .checksum: .uint8
            }
        }

        /// The order of types in a file, the widest first.
        var storageRank: Int {
            switch dtype {
            case .int64: 0
            case .float64: 1
            case .float32: 2
            case .bfloat16: 3
            default: 4
            }
        }
    }

    private struct Entry {
        let name: String
        let shape: [Int]
        let values: Values
    }

    private let metadata: [String: String]
    private var entries: [Entry] = []
    /// The largest header that is allowed, in bytes.
    var headerLimit = SafetensorsHeader.maximumLength

    public init(metadata: [String: String] = [:]) {
        self.metadata = metadata
    }

    /// Adds a matrix under a name; its shape is [rows, columns] unless another shape of equal size is given.
    public mutating func add(_ name: String, _ matrix: Matrix, shape: [Int]? = nil, format: NumberFormat = .float32) {
        let shape = shape ?? [matrix.rows, matrix.columns]
        entries.append(Entry(name: name, shape: shape, values: .matrix(matrix, format)))
    }

    /// Adds F64 values under a name.
    public mutating func add(_ name: String, doubles: [Double], shape: [Int]) {
        entries.append(Entry(name: name, shape: shape, values: .doubles(doubles)))
    }

    /// Adds I64 values under a name.
    public mutating func add(_ name: String, integers: [Int64], shape: [Int]) {
        entries.append(Entry(name: name, shape: shape, values: .integers(integers)))
    }

    /// The size of the tensors in bytes, without the header.
    public var byteCount: Int {
        entries.reduce(0) { $0 + $1.values.count * $1.values.dtype.bitsPerValue / 8 }
    }

    /// Writes everything that was added.
    ///
    /// - Parameter checksum: Whether to add the tensor ``SafetensorsFile/checksumName``, with which
    ///   ``SafetensorsFile/verifyChecksum()`` detects damage.
    /// - Throws: ``SafetensorsError/unwritableTensor(tensor:problem:)`` for a name that was added twice or a shape that does not fit its
    ///   values, ``SafetensorsError/unwritableHeader(byteCount:limit:)``, and ``AtomicFileError``. An existing file stays unchanged.
    public func write(to path: String, checksum: Bool = false) throws {
        var ordered = entries.sorted { ($0.values.storageRank, $0.name) < ($1.values.storageRank, $1.name) }
        if checksum {
            let name = SafetensorsFile.checksumName
            ordered.append(Entry(name: name, shape: [ContentDigest.byteCount], values: .checksum))
        }
        let header = try encodeHeader(ordered)
        var file = try AtomicFile(replacing: path)
        var digest = ContentDigest()
        func append(_ bytes: RawSpan) throws {
            if checksum { digest.update(bytes) }
            try file.append(bytes)
        }
        try append(header.bytes)
        for entry in ordered {
            switch entry.values {
            case .matrix(let matrix, .float32): try matrix.withSpan { try append($0.bytes) }
            case .matrix(let matrix, let format): try append(matrix.bytes(as: format).bytes)
            case .doubles(let values): try append(values.span.bytes)
            case .integers(let values): try append(values.span.bytes)
            case .checksum: try file.append(digest.bytes.span.bytes)
            }
        }
        try file.commit()
    }

    /// The length and the JSON, padded so that the values start at a multiple of 8.
    private func encodeHeader(_ entries: [Entry]) throws -> Data {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(Self.json($0.key)):\(Self.json($0.value))" }
            members.append("\"\(SafetensorsHeader.metadataKey)\":{\(pairs.joined(separator: ","))}")
        }
        var names: Set<String> = [SafetensorsHeader.metadataKey]
        var offset = 0
        for entry in entries {
            let dtype = entry.values.dtype
            guard names.insert(entry.name).inserted else {
                throw SafetensorsError.unwritableTensor(tensor: entry.name, problem: "the name is taken")
            }
            let byteCount = SafetensorsTensor.byteCount(of: dtype, shape: entry.shape)
            guard let byteCount, byteCount == entry.values.count * dtype.bitsPerValue / 8 else {
                let shape = SafetensorsError.shown(entry.shape)
                throw SafetensorsError.unwritableTensor(
                    tensor: entry.name, problem: "\(entry.values.count) values do not make the shape \(shape)")
            }
            let shape = entry.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(Self.json(entry.name)):{\"dtype\":\"\(dtype.rawValue)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(offset),\(offset + byteCount)]}")
            offset += byteCount
        }
        var json = Data("{\(members.joined(separator: ","))}".utf8)
        json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
        guard json.count <= headerLimit else {
            throw SafetensorsError.unwritableHeader(
                byteCount: json.count, limit: headerLimit)
        }
        return Data([UInt64(json.count)].littleEndianBytes) + json
    }

    /// A text as a JSON string (RFC 8259, section 7).
    private static func json(_ text: String) -> String {
        var escaped = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): escaped += "\\\"".utf8
            case UInt8(ascii: "\\"): escaped += "\\\\".utf8
            case UInt8(ascii: "\n"): escaped += "\\n".utf8
            case UInt8(ascii: "\r"): escaped += "\\r".utf8
            case UInt8(ascii: "\t"): escaped += "\\t".utf8
            case 0x08: escaped += "\\b".utf8
            case 0x0C: escaped += "\\f".utf8
            case 0..<0x20: escaped += ((byte < 0x10 ? "\\u000" : "\\u00") + String(byte, radix: 16)).utf8
            default: escaped.append(byte)
            }
        }
        escaped.append(UInt8(ascii: "\""))
        return String(decoding: escaped, as: UTF8.self)
    }
}
