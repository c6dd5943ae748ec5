import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A safetensors file")
struct SafetensorsFileTests {
    private let scratch: SafetensorsScratch

    init() throws {
        scratch = try SafetensorsScratch()
    }

    private func file(_ dtype: String, _ shape: [Int], _ data: [UInt8]) throws -> SafetensorsFile {
        let header = #"{"x":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[0,\#(data.count)]}}"#
        return try SafetensorsFile(path: scratch.write(header: header, data: data))
    }

    @Test("gives its tensors and metadata")
    func contents() throws {
        let header = """
            {"__metadata__":{"format":"pt","note":"\\u00e9\\ud83d\\ude00 \\"a\\" \\\\ \\/"},
             "b" : {"shape": [3], "data_offsets": [4, 10], "dtype": "F16"},
             "a" : {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}, \t\r
             "none": {"dtype": "I64", "shape": [2, 0], "data_offsets": [10, 10]},
             "one": {"dtype": "U8", "shape": [], "data_offsets": [10, 11]}}     \n
            """
        let file = try SafetensorsFile(
            path: scratch.write(header: header, data: [0, 0, 128, 63, 0, 60, 0, 64, 0, 192, 9]))
        #expect(file.metadata == ["format": "pt", "note": "é😀 \"a\" \\ /"])
        #expect(Set(file.tensors.keys) == ["a", "b", "none", "one"])
        #expect(
            file.tensors["b"] == SafetensorsTensor(name: "b", dtype: .float16, shape: [3], byteRange: 4..<10))
        #expect(file.tensors["none"]?.count == 0)
        #expect(file.tensors["one"]?.count == 1)
        #expect(try file.matrix(named: "a").elements == [1])
        #expect(try file.matrix(named: "b") == Matrix(rows: 1, columns: 3, elements: [1, 2, -2]))
        #expect(try file.integers(named: "none") == [])
        #expect(try file.integers(named: "one") == [9])
    }

    @Test(
        "converts every floating-point type to Float32",
        arguments: [
            ("F32", [0x00, 0x00, 0xC0, 0xBF, 0x00, 0x00, 0x80, 0x7F], [-1.5, Float.infinity]),
            ("F16", [0x00, 0xBE, 0x01, 0x00], [-1.5, 5.9604645e-08]),
            ("BF16", [0xC0, 0xBF, 0x7F, 0x7F], [-1.5, 3.3895314e38]),
            (
                "F64", [0, 0, 0, 0, 0, 0, 0xF8, 0xBF, 0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F],
                [-1.5, 0.1]
            ),
        ] as [(String, [UInt8], [Float])])
    func floats(dtype: String, data: [UInt8], expected: [Float]) throws {
        #expect(try file(dtype, [2], data).matrix(named: "x").elements == expected)
        #expect(try file(dtype, [2, 1], data).matrix(named: "x") == Matrix(rows: 2, columns: 1, elements: expected))
    }

    @Test("reads values at odd addresses", arguments: [0, 1, 2, 3, 5, 7])
    func misaligned(shift: Int) throws {
        let values: [(String, [UInt8])] = [
            ("F32", [0, 0, 0xC0, 0xBF]), ("F16", [0, 0xBE]), ("BF16", [0xC0, 0xBF]),
            ("F64", [0, 0, 0, 0, 0, 0, 0xF8, 0xBF]),
        ]
        for (dtype, bytes) in values {
            let end = shift + bytes.count
            let header =
                #"{"p":{"dtype":"U8","shape":[\#(shift)],"data_offsets":[0,\#(shift)]},"#
                + #""x":{"dtype":"\#(dtype)","shape":[1],"data_offsets":[\#(shift),\#(end)]}}"#
            let path = try scratch.write(header: header, data: Array(repeating: 7, count: shift) + bytes)
            #expect(try SafetensorsFile(path: path).matrix(named: "x").elements == [-1.5])
        }
    }

    @Test("gives doubles without rounding, from F64 and F32")
    func doubles() throws {
        let tenth: [UInt8] = [0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F]
        #expect(try file("F64", [1, 1, 1], tenth).doubles(named: "x") == [0.1])
        #expect(try file("F32", [], [0, 0, 0xC0, 0xBF]).doubles(named: "x") == [-1.5])
    }

    @Test(
        "gives integers of every width, signed or not",
        arguments: [
            ("I64", Array(repeating: 255, count: 8), -1), ("I32", [0xFE, 255, 255, 255], -2),
            ("I16", [0xFD, 255], -3), ("I8", [0xFC], -4), ("U8", [0xFF], 255), ("U16", [0xFF, 0xFF], 65535),
            ("U32", [255, 255, 255, 255], 4_294_967_295), ("U64", [1, 1, 0, 0, 0, 0, 0, 0], 257), ("BOOL", [1], 1),
        ] as [(String, [UInt8], Int64)])
    func integers(dtype: String, data: [UInt8], expected: Int64) throws {
        #expect(try file(dtype, [1], data).integers(named: "x") == [expected])
    }

    @Test("accepts one row as a vector, and any other shape only as it is")
    func shapes() throws {
        let vector = try file("F32", [2], Array(repeating: 0, count: 8))
        #expect(try vector.matrix(named: "x", rows: 1, columns: 2) == Matrix(rows: 1, columns: 2))
        #expect(
            safetensorsError { try vector.matrix(named: "x", rows: 2, columns: 1) }
                == .wrongShape(tensor: "x", file: "model.safetensors", expected: [2, 1], found: [2]))
        #expect(
            safetensorsError { try vector.matrix(named: "x", rows: 1, columns: 3) }
                == .wrongShape(tensor: "x", file: "model.safetensors", expected: [3], found: [2]))
        let row = try file("F32", [1, 2], Array(repeating: 0, count: 8))
        #expect(try row.matrix(named: "x", rows: 1, columns: 2).count == 2)
        let wrong = try #require(safetensorsError { try row.matrix(named: "x", rows: 2, columns: 1) })
        #expect(wrong.description.hasPrefix(#"model.safetensors: tensor "x" is [1, 2]; expected [2, 1]. "#))
    }

    @Test("says what it cannot give")
    func refusals() throws {
        let name = "model.safetensors"
        let cube = try file("F32", [1, 1, 1], [0, 0, 0, 0])
        #expect(
            safetensorsError { try cube.matrix(named: "x") }
                == .wrongRank(tensor: "x", file: name, found: [1, 1, 1]))
        #expect(safetensorsError { try cube.matrix(named: "y") } == .missingTensor(tensor: "y", file: name))
        #expect(safetensorsError { try cube.integers(named: "y") } == .missingTensor(tensor: "y", file: name))
        #expect(
            safetensorsError { try cube.integers(named: "x") }
                == .wrongType(
                    tensor: "x", file: name,
                    expected: [.int64, .int32, .int16, .int8, .uint64, .uint32, .uint16, .uint8, .boolean],
                    found: .float32))
        let bytes = try file("U8", [1], [1])
        #expect(
            safetensorsError { try bytes.doubles(named: "x") }
                == .wrongType(tensor: "x", file: name, expected: [.float64, .float32], found: .uint8))
        #expect(
            safetensorsError { try bytes.matrix(named: "x") }
                == .wrongType(
                    tensor: "x", file: name, expected: [.float32, .float16, .bfloat16, .float64], found: .uint8))
        let large = try file("U64", [1], Array(repeating: 255, count: 8))
        #expect(
            safetensorsError { try large.integers(named: "x") }
                == .integerTooLarge(tensor: "x", file: name, value: UInt64.max))
    }

    @Test("is refused, and does not end the process, where it was shortened after it was opened")
    func shortened() throws {
        var writer = SafetensorsWriter()
        writer.add("x", Matrix(rows: 1, columns: 4, elements: [1, 2, 3, 4]))
        let path = scratch.path("model.safetensors")
        try writer.write(to: path)
        let file = try SafetensorsFile(path: path)
        let length = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        #expect(truncate(path, off_t(length - 8)) == 0)
        #expect(
            safetensorsError { try file.matrix(named: "x") }
                == .truncated(file: "model.safetensors", expected: UInt64(length), found: length - 8))
    }

    @Test("stays readable after another file took its place")
    func replaced() throws {
        var writer = SafetensorsWriter()
        writer.add("x", Matrix(rows: 1, columns: 2, elements: [1, 2]))
        let path = scratch.path("model.safetensors")
        try writer.write(to: path)
        let file = try SafetensorsFile(path: path)
        try SafetensorsWriter().write(to: path)
        #expect(try file.matrix(named: "x").elements == [1, 2])
        #expect(try SafetensorsFile(path: path).tensors.isEmpty)
    }
}
