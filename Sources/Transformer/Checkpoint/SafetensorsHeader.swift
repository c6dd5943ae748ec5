import Foundation

/// The table of contents at the start of a safetensors file.
///
///     8 bytes   N, the length of the header, an unsigned little-endian integer
///     N bytes   JSON that starts with "{" and may end in spaces:
///               {"__metadata__": {KEY: STRING, ...},
///                NAME: {"dtype": "F32", "shape": [ROWS, COLUMNS], "data_offsets": [BEGIN, END]}, ...}
///     the rest  the tensors' values, row after row, little-endian; offsets count from here,
///               and together the tensors cover every byte once
struct SafetensorsHeader: Equatable {
    static let lengthBytes = 8
    /// The limit that the format sets to a header, which keeps a forged one from exhausting memory.
    static let maximumLength = 100_000_000
    /// Of a shape: far more than any tensor has dimensions.
    static let maximumIntegers = 64
    static let metadataKey = "__metadata__"

    var metadata: [String: String] = [:]
    var tensors: [String: SafetensorsTensor] = [:]

    /// Reads the JSON of a header; ``checkCoverage(dataBytes:headerBytes:file:)`` tells whether it fits its file.
    ///
    /// The grammar is small enough to be read without recursion, so that no nesting can exhaust the stack; numbers are
    /// exact integers, and a key that occurs twice is refused instead of one of the two being chosen.
    ///
    /// - Throws: ``SafetensorsError/malformedHeader(file:byte:problem:)`` and
    ///   ``SafetensorsError/invalidTensor(tensor:file:problem:)``.
    init(json: [UInt8], file: String) throws {
        var scanner = SafetensorsHeaderScanner(bytes: json, file: file)
        guard json.first == UInt8(ascii: "{") else { throw scanner.problem("expected \"{\"") }
        var hasMetadata = false
        try scanner.scanObject { scanner, name in
            if name == Self.metadataKey {
                guard !hasMetadata else { throw scanner.problem("\"__metadata__\" occurs twice") }
                hasMetadata = true
                metadata = try Self.scanMetadata(&scanner)
            } else {
                guard tensors[name] == nil else {
                    throw scanner.problem("tensor \(SafetensorsError.quoted(name)) occurs twice")
                }
                tensors[name] = try Self.scanTensor(named: name, &scanner)
            }
        }
        try scanner.expectEnd()
    }

    private static func scanMetadata(_ scanner: inout SafetensorsHeaderScanner) throws -> [String: String] {
        var metadata: [String: String] = [:]
        try scanner.scanObject { scanner, key in
            guard metadata[key] == nil else {
                throw scanner.problem("metadata \(SafetensorsError.quoted(key)) occurs twice")
            }
            metadata[key] = try scanner.scanString()
        }
        return metadata
    }

    private static func scanTensor(
        named name: String, _ scanner: inout SafetensorsHeaderScanner
    ) throws -> SafetensorsTensor {
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        try scanner.scanObject { scanner, key in
            switch key {
            case "dtype" where typeName == nil: typeName = try scanner.scanString()
            case "shape" where shape == nil: shape = try scanner.scanIntegers(atMost: maximumIntegers)
            case "data_offsets" where offsets == nil: offsets = try scanner.scanIntegers(atMost: maximumIntegers)
            case "dtype", "shape", "data_offsets": throw scanner.problem("\"\(key)\" occurs twice")
            default:
                throw scanner.problem(
                    "unknown field \(SafetensorsError.quoted(key)); expected dtype, shape and data_offsets")
            }
        }
        func invalid(_ problem: String) -> SafetensorsError {
            .invalidTensor(tensor: name, file: scanner.file, problem: problem)
        }
        guard let typeName else { throw invalid("has no dtype") }
        guard let shape else { throw invalid("has no shape") }
        guard let offsets else { throw invalid("has no data_offsets") }
        guard let dtype = SafetensorsType(rawValue: typeName) else {
            throw invalid("has the unknown dtype \(SafetensorsError.quoted(typeName))")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw invalid("has data_offsets \(SafetensorsError.shown(offsets)); expected a begin and an end after it")
        }
        let range = offsets[0]..<offsets[1]
        guard let byteCount = SafetensorsTensor.byteCount(of: dtype, shape: shape) else {
            throw invalid("has a shape of no possible size, \(SafetensorsError.shown(shape)) of \(dtype.rawValue)")
        }
        guard byteCount == range.count else {
            throw invalid(
                "takes \(range.count) bytes; \(SafetensorsError.shown(shape)) of \(dtype.rawValue) is \(byteCount)")
        }
        return SafetensorsTensor(name: name, dtype: dtype, shape: shape, byteRange: range)
    }

    /// Checks that the tensors cover a file's data exactly: each byte belongs to one tensor.
    ///
    /// - Throws: ``SafetensorsError/truncated(file:expected:found:)``,
    ///   ``SafetensorsError/invalidTensor(tensor:file:problem:)`` for an overlap, or
    ///   ``SafetensorsError/uncoveredBytes(file:range:)``.
    func checkCoverage(dataBytes: Int, headerBytes: Int, file: String) throws {
        let ordered = tensors.values.sorted {
            ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
        }
        let end = ordered.map(\.byteRange.upperBound).max() ?? 0
        let start = Self.lengthBytes + headerBytes
        guard end <= dataBytes else {
            throw SafetensorsError.truncated(
                file: file, expected: UInt64(start) + UInt64(end), found: start + dataBytes)
        }
        var covered = 0
        for tensor in ordered {
            if tensor.byteRange.lowerBound < covered {
                throw SafetensorsError.invalidTensor(
                    tensor: tensor.name, file: file, problem: "shares data bytes with another tensor")
            }
            if tensor.byteRange.lowerBound > covered {
                throw SafetensorsError.uncoveredBytes(file: file, range: covered..<tensor.byteRange.lowerBound)
            }
            covered = tensor.byteRange.upperBound
        }
        if covered < dataBytes { throw SafetensorsError.uncoveredBytes(file: file, range: covered..<dataBytes) }
    }
}
