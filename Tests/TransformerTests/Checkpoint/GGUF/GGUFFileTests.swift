import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A GGUF file")
struct GGUFFileTests {
    @Test("gives every type of metadata as it was stored")
    func metadata() throws {
        var builder = GGUFBuilder()
        builder.add("u8", type: .uint8, bytes: [200])
        builder.add("i8", type: .int8, bytes: [200])
        builder.add("u16", type: .uint16, bytes: [0x34, 0x92])
        builder.add("i16", type: .int16, bytes: [0x34, 0x92])
        builder.add("u32", type: .uint32, bytes: GGUFBuilder.little(UInt32.max))
        builder.add("i32", type: .int32, bytes: GGUFBuilder.little(UInt32.max))
        builder.add("u64", type: .uint64, bytes: GGUFBuilder.little(UInt64.max))
        builder.add("i64", type: .int64, bytes: GGUFBuilder.little(Int64.min))
        builder.add("f32", number: 0.1)
        builder.add("f64", type: .float64, bytes: GGUFBuilder.little(Double(0.1).bitPattern))
        builder.add("no", type: .boolean, bytes: [0])
        builder.add("yes", type: .boolean, bytes: [1])
        builder.add("text", "é\n👩‍🚀")
        let file = try builder.file()
        #expect(
            file.metadata == [
                "u8": .unsigned(200), "i8": .signed(-56), "u16": .unsigned(0x9234), "i16": .signed(-28108),
                "u32": .unsigned(4_294_967_295), "i32": .signed(-1), "u64": .unsigned(.max), "i64": .signed(.min),
                "f32": .number(Double(0.1 as Float)), "f64": .number(0.1), "no": .boolean(false),
                "yes": .boolean(true), "text": .string("é\n👩‍🚀"),
            ])
        #expect(try file.integer("u64x") == nil)
        #expect(try file.integer("i16") == -28108)
        #expect(ggufError { try file.integer("u64") } != nil, "more than an integer holds")
    }

    @Test("gives arrays of strings, integers and numbers, and passes over arrays in arrays")
    func arrays() throws {
        var builder = GGUFBuilder()
        builder.add("texts", ["", "Ġa", "b c"])
        builder.add("i8s", arrayOf: .int8, count: 3, bytes: [1, 255, 128])
        builder.add("u32s", arrayOf: .uint32, count: 1, bytes: GGUFBuilder.little(UInt32.max))
        builder.add("f32s", arrayOf: .float32, count: 1, bytes: GGUFBuilder.little(Float(-1.5).bitPattern))
        let inner = GGUFBuilder.little(GGUFValueType.uint8.rawValue) + GGUFBuilder.little(UInt64(2)) + [7, 8]
        builder.add("nested", arrayOf: .array, count: 2, bytes: inner + inner)
        builder.add("last", 5)
        let file = try builder.file()
        #expect(try file.strings("texts") == ["", "Ġa", "b c"])
        #expect(try file.integers("i8s") == [1, -1, -128])
        #expect(try file.integers("u32s") == [4_294_967_295])
        #expect(try file.numbers("f32s") == [-1.5])
        #expect(try file.integer("last") == 5)
        #expect(
            ggufError { try file.strings("i8s") }?.description.contains("i8s: expected an array of strings") == true)
    }

    @Test("gives tensors row by row, the slowest dimension first, at any alignment", arguments: [8, 32, 256])
    func tensors(alignment: Int) throws {
        var builder = GGUFBuilder()
        builder.alignment = alignment
        builder.add("general.alignment", UInt32(alignment))
        builder.add("vector", shape: [3], floats: [7, 8, 9])
        builder.add("matrix", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
        let file = try builder.file()
        #expect(file.tensors["matrix"]?.shape == [2, 3])
        #expect(try file.matrix(named: "matrix") == Matrix(rows: 2, columns: 3, elements: [1, 2, 3, 4, 5, 6]))
        #expect(try file.matrix(named: "vector") == Matrix(rows: 1, columns: 3, elements: [7, 8, 9]))
    }

    @Test("may hold metadata alone, as files of vocabularies do")
    func vocabulary() throws {
        var builder = GGUFBuilder()
        builder.add("tokenizer.ggml.model", "gpt2")
        builder.add("tokenizer.ggml.pre", "smollm")
        builder.add("tokenizer.ggml.tokens", ["a", "b"])
        builder.add("tokenizer.ggml.merges", ["a b"])
        builder.add("tokenizer.ggml.bos_token_id", 1)
        builder.add("tokenizer.ggml.add_bos_token", type: .boolean, bytes: [1])
        let metadata = try builder.file().tokenizerMetadata()
        #expect(metadata.model == "gpt2" && metadata.preTokenizer == "smollm" && metadata.tokens == ["a", "b"])
        #expect(metadata.merges == ["a b"] && metadata.bosToken == 1 && metadata.addsBos == true)
        #expect(metadata.scores == nil && metadata.eosToken == nil && metadata.addsEos == nil)
    }
}
