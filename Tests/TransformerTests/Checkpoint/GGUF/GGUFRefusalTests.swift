import Foundation
import Testing

@testable import Transformer

@Suite("A GGUF file is refused")
struct GGUFRefusalTests {
    @Test("when it is something else, of another version or the other byte order")
    func header() {
        #expect(ggufError { try GGUFFile(path: "x.gguf", contents: Data()) } == .notGGUF(file: "x.gguf"))
        #expect(ggufError { try GGUFFile(path: "x.gguf", contents: Data("GGML".utf8)) } == .notGGUF(file: "x.gguf"))
        var builder = GGUFBuilder()
        for version: UInt32 in [0, 1, 2, 4] {
            builder.version = version
            #expect(
                ggufError { try builder.file() } == .unsupportedVersion(file: "some.gguf", version: version))
        }
        builder.version = UInt32(3).byteSwapped
        #expect(ggufError { try builder.file() } == .bigEndian(file: "some.gguf"))
    }

    @Test("when there is no such file, or it is a folder")
    func opening() throws {
        let scratch = try SafetensorsScratch()
        #expect(
            ggufError { try GGUFFile(path: scratch.path("no.gguf")) } == .missingFile(path: scratch.path("no.gguf")))
        #expect(ggufError { try GGUFFile(path: scratch.folder) } == .notAFile(path: scratch.folder))
    }

    @Test("when it was cut short anywhere")
    func truncation() throws {
        let bytes = GGUFBuilder.llama().bytes
        #expect(throws: Never.self) { try GGUFFile(path: "x.gguf", contents: Data(bytes)) }
        for length in stride(from: 4, to: bytes.count, by: 7) {
            let error = ggufError { try GGUFFile(path: "x.gguf", contents: Data(bytes.prefix(length))) }
            #expect(error?.description.contains("download it again") == true, "cut at \(length)")
        }
    }

    @Test("when a count or a length is larger than the file", arguments: [UInt64.max, 1 << 62, 1 << 33, 1_000])
    func absurdCounts(count: UInt64) {
        var builder = GGUFBuilder.llama()
        builder.tensorCount = count
        #expect(ggufError { try builder.file() } != nil)
        builder = .llama()
        builder.metadataCount = count
        #expect(ggufError { try builder.file() } != nil)
        for type in [GGUFValueType.uint8, .uint64, .string, .array] {
            builder = GGUFBuilder()
            builder.add("array", arrayOf: type, count: count, bytes: [0, 0, 0])
            #expect(ggufError { try builder.file() }?.description.contains("inside \"array\"") == true)
        }
        builder = GGUFBuilder()
        builder.add("text", type: .string, bytes: GGUFBuilder.little(count) + [65])
        #expect(ggufError { try builder.file() } != nil)
    }

    @Test("when it counts more entries than any model has, before they are read")
    func counts() throws {
        var builder = GGUFBuilder()
        for limit in [GGUFFile.metadataLimit, GGUFFile.tensorLimit] {
            builder.metadataCount = limit == GGUFFile.metadataLimit ? UInt64(limit + 1) : nil
            builder.tensorCount = limit == GGUFFile.tensorLimit ? UInt64(limit + 1) : nil
            guard case .tooMany(_, "some.gguf", UInt64(limit + 1), limit)? = ggufError({ try builder.file() }) else {
                Issue.record("a count above \(limit) is no reason")
                continue
            }
        }
        // Empty strings in a file with a hole, and empty arrays.
        let scratch = try SafetensorsScratch()
        for (type, bytes) in [(GGUFValueType.string, 8), (.array, 12)] {
            for count in [GGUFCursor.elementLimit + 1, 60_000_000] {
                builder = GGUFBuilder()
                builder.alignment = 1
                builder.add("tokens", arrayOf: type, count: UInt64(count), bytes: [])
                let path = try scratch.write(builder.bytes, as: "many.gguf")
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                try file.truncate(atOffset: UInt64(builder.bytes.count + count * bytes))
                try file.close()
                #expect(
                    ggufError { try GGUFFile(path: path) }
                        == .tooMany(
                            part: "\"tokens\"", file: "many.gguf", count: UInt64(count),
                            limit: GGUFCursor.elementLimit))
            }
        }
    }

    @Test("when a token lacks its score or its type, before these are read")
    func perToken() throws {
        for name in ["scores", "token_type"] {
            var builder = GGUFBuilder()
            builder.add("tokenizer.ggml.model", "llama")
            builder.add("tokenizer.ggml.tokens", ["a", "b"])
            builder.add("tokenizer.ggml.\(name)", arrayOf: .float32, count: 3, bytes: Array(repeating: 0, count: 12))
            let file = try builder.file()
            #expect(
                ggufError { try file.tokenizerMetadata() }
                    == .wrongValue(
                        key: "tokenizer.ggml.\(name)", file: "some.gguf", expected: "2 values, one per token",
                        found: "3")
            )
        }
    }

    @Test("when its metadata break the format")
    func metadata() {
        func refusal(_ add: (inout GGUFBuilder) -> Void) -> String {
            var builder = GGUFBuilder()
            add(&builder)
            return ggufError { try builder.file() }?.description ?? "accepted"
        }
        #expect(refusal { $0.add("a", 1) } == "accepted")
        #expect(
            refusal {
                $0.add("a", 1)
                $0.add("a", 2)
            }.contains("\"a\" occurs twice"))
        #expect(refusal { $0.add("", 1) }.contains("expected a name"))
        #expect(refusal { $0.add("a", type: .boolean, bytes: [2]) }.contains("expected 0 or 1"))
        #expect(
            refusal { $0.add("a", type: .string, bytes: GGUFBuilder.little(UInt64(1)) + [0xFF]) }
                .contains("expected valid UTF-8 in \"a\""))
        #expect(refusal { $0.add("general.alignment", 24) }.contains("general.alignment: expected a power of two"))
        #expect(refusal { $0.add("general.alignment", "32") }.contains("general.alignment: expected a power of two"))
        // An array of one array of one array...
        let level = GGUFBuilder.little(GGUFValueType.array.rawValue) + GGUFBuilder.little(UInt64(1))
        #expect(
            refusal { $0.add("deep", type: .array, bytes: (0..<100_000).flatMap { _ in level } + level) }
                .contains("deep; at most 8 are supported"))
    }

    @Test("when its directory breaks the format")
    func directory() {
        func refusal(_ dimensions: [UInt64], type: UInt32 = 0, offset: UInt64 = 0, times: Int = 1) -> String {
            var builder = GGUFBuilder()
            builder.add("data", shape: [64], floats: Array(repeating: 0, count: 64))
            for time in 0..<times {
                builder.addEntry("t\(time)", dimensions: dimensions, type: type, offset: offset)
            }
            return ggufError { try builder.file() }?.description ?? "accepted"
        }
        #expect(refusal([], type: 0).contains("has 0 dimensions"))
        #expect(refusal([1, 1, 1, 1, 1]).contains("has 5 dimensions"))
        #expect(refusal([4, 0]).contains("has a dimension that is 0"))
        #expect(refusal([.max]).contains("dimension"))
        #expect(refusal([1 << 40, 1 << 40]).contains("not a whole number"), "the product overflows")
        #expect(refusal([33], type: GGUFTensorType.q40.rawValue).contains("not a whole number of Q4_0 blocks per row"))
        #expect(refusal([8], offset: 4).contains("expected a multiple of 32"))
        #expect(refusal([8], offset: 32).contains("shares bytes"))
        #expect(refusal([8], offset: 256).contains("inside tensor \"t0\""))
        #expect(refusal([8], offset: .max - 31).contains("inside tensor \"t0\""))
        #expect(refusal([8], type: 99).contains("is stored as type 99; the supported types are F32, F16, BF16, Q8_0"))
        var builder = GGUFBuilder()
        builder.add("twice", shape: [1], floats: [1])
        builder.add("twice", shape: [1], floats: [1])
        #expect(ggufError { try builder.file() }?.description.contains("\"twice\" occurs twice") == true)
    }
}
