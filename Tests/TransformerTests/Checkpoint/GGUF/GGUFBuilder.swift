import Foundation

@testable import Transformer

/// Writes GGUF files, however wrong.
struct GGUFBuilder {
    var version: UInt32 = 3
    var alignment = 32
    /// Metadata that were added, each as its bytes: key, type and value.
    private var metadata: [[UInt8]] = []
    private var directory: [[UInt8]] = []
    private var data: [UInt8] = []
    /// What stands in the header in place of the right counts.
    var tensorCount: UInt64?
    var metadataCount: UInt64?

    static func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    static func text(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + Array(text.utf8) }

    mutating func add(_ key: String, type: GGUFValueType, bytes: [UInt8]) {
        metadata.append(Self.text(key) + Self.little(type.rawValue) + bytes)
    }

    mutating func add(_ key: String, _ value: String) { add(key, type: .string, bytes: Self.text(value)) }

    mutating func add(_ key: String, _ value: UInt32) { add(key, type: .uint32, bytes: Self.little(value)) }

    mutating func add(_ key: String, number value: Float) {
        add(key, type: .float32, bytes: Self.little(value.bitPattern))
    }

    mutating func add(_ key: String, arrayOf type: GGUFValueType, count: UInt64, bytes: [UInt8]) {
        add(key, type: .array, bytes: Self.little(type.rawValue) + Self.little(count) + bytes)
    }

    mutating func add(_ key: String, _ values: [String]) {
        add(key, arrayOf: .string, count: UInt64(values.count), bytes: values.flatMap(Self.text))
    }

    /// Adds an entry of the directory as it is.
    mutating func addEntry(_ name: String, dimensions: [UInt64], type: UInt32, offset: UInt64) {
        directory.append(
            Self.text(name) + Self.little(UInt32(dimensions.count)) + dimensions.flatMap(Self.little)
                + Self.little(type) + Self.little(offset))
    }

    /// Adds a tensor whose fastest dimension comes last, and its values.
    mutating func add(_ name: String, shape: [Int], _ type: GGUFTensorType, bytes: [UInt8]) {
        data += Array(repeating: 0, count: (alignment - data.count % alignment) % alignment)
        addEntry(
            name, dimensions: shape.reversed().map(UInt64.init), type: type.rawValue, offset: UInt64(data.count))
        data += bytes
    }

    mutating func add(_ name: String, shape: [Int], floats: [Float]) {
        add(name, shape: shape, .float32, bytes: floats.flatMap { Self.little($0.bitPattern) })
    }

    var bytes: [UInt8] {
        var bytes = Array("GGUF".utf8) + Self.little(version)
        bytes += Self.little(tensorCount ?? UInt64(directory.count))
        bytes += Self.little(metadataCount ?? UInt64(metadata.count))
        bytes += metadata.flatMap { $0 } + directory.flatMap { $0 }
        bytes += Array(repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
        return bytes + data
    }

    func file() throws -> GGUFFile { try GGUFFile(path: "some.gguf", contents: Data(bytes)) }

    /// A small model of Llama's kind, and whatever else a test adds to it.
    static func llama(_ changes: (inout [String: (inout GGUFBuilder) -> Void]) -> Void = { _ in }) -> GGUFBuilder {
        var parts: [String: (inout GGUFBuilder) -> Void] = [
            "general.architecture": { $0.add("general.architecture", "llama") },
            "context": { $0.add("llama.context_length", 16) },
            "width": { $0.add("llama.embedding_length", 4) },
            "layers": { $0.add("llama.block_count", 1) },
            "heads": { $0.add("llama.attention.head_count", 2) },
            "inner": { $0.add("llama.feed_forward_length", 3) },
            "epsilon": { $0.add("llama.attention.layer_norm_rms_epsilon", number: 1e-5) },
        ]
        let shapes = [
            "token_embd": [8, 4], "output_norm": [4], "blk.0.attn_norm": [4], "blk.0.attn_q": [4, 4],
            "blk.0.attn_k": [4, 4], "blk.0.attn_v": [4, 4], "blk.0.attn_output": [4, 4], "blk.0.ffn_norm": [4],
            "blk.0.ffn_gate": [3, 4], "blk.0.ffn_up": [3, 4], "blk.0.ffn_down": [4, 3],
        ]
        for (name, shape) in shapes {
            parts[name] = { builder in
                let count = shape.reduce(1, *)
                builder.add("\(name).weight", shape: shape, floats: (0..<count).map { Float($0 + 1) / 64 })
            }
        }
        changes(&parts)
        var builder = GGUFBuilder()
        for (_, part) in parts.sorted(by: { $0.key < $1.key }) { part(&builder) }
        return builder
    }
}

/// The error that an operation throws, if it is of this kind.
func ggufError(_ operation: () throws -> some Any) -> GGUFError? {
    do {
        _ = try operation()
        return nil
    } catch {
        return error as? GGUFError
    }
}
