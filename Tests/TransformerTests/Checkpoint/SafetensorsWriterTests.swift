import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("The safetensors writer")
struct SafetensorsWriterTests {
    private let scratch: SafetensorsScratch
    private let path: String

    init() throws {
        scratch = try SafetensorsScratch()
        path = scratch.path("out.safetensors")
    }

    private func randomMatrix(rows: Int, columns: Int, seed: UInt64) -> Matrix {
        var random = SplitMix64(seed: seed)
        let elements = (0..<rows * columns).map { _ in Float.random(in: -10...10, using: &random) }
        return Matrix(rows: rows, columns: columns, elements: elements)
    }

    @Test("writes what the file gives back")
    func roundTrip() throws {
        let matrix = randomMatrix(rows: 33, columns: 7, seed: 1)
        let half = Matrix(rows: 1, columns: 3, elements: [1.5, -2, 0.25])
        var writer = SafetensorsWriter(metadata: ["format": "pt", "quote \" \\ \n\u{1}\u{1F}é😀": "\t\u{8}\u{C}\r/"])
        writer.add("w", matrix)
        writer.add("v", matrix, shape: [231])
        writer.add("cube", matrix, shape: [3, 11, 7])
        writer.add("half", half, format: .float16)
        writer.add("brain \" \\ \n\u{1}é😀", half, shape: [3], format: .bfloat16)
        writer.add("d", doubles: [0.1, -.pi], shape: [2, 1])
        writer.add("i", integers: [.min, .max, -1], shape: [3])
        writer.add("scalar", integers: [42], shape: [])
        writer.add("none", doubles: [], shape: [0, 5])
        try writer.write(to: path)

        let file = try SafetensorsFile(path: path)
        #expect(file.metadata == ["format": "pt", "quote \" \\ \n\u{1}\u{1F}é😀": "\t\u{8}\u{C}\r/"])
        #expect(file.tensors.count == 9)
        #expect(try file.matrix(named: "w", rows: 33, columns: 7) == matrix)
        #expect(try file.matrix(named: "v", rows: 1, columns: 231).elements == matrix.elements)
        #expect(try file.doubles(named: "cube") == matrix.elements.map(Double.init))
        #expect(file.tensors["cube"]?.shape == [3, 11, 7])
        #expect(file.tensors["half"]?.dtype == .float16)
        #expect(try file.matrix(named: "half") == half)
        #expect(file.tensors["brain \" \\ \n\u{1}é😀"]?.dtype == .bfloat16)
        #expect(try file.matrix(named: "brain \" \\ \n\u{1}é😀") == half)
        #expect(try file.doubles(named: "d") == [0.1, -.pi])
        #expect(try file.integers(named: "i") == [.min, .max, -1])
        #expect(file.tensors["scalar"]?.shape == [])
        #expect(try file.integers(named: "scalar") == [42])
        #expect(try file.doubles(named: "none") == [])
    }

    /// What `safetensors.numpy.save` of version 0.8.0 makes of the same tensors.
    @Test("writes the very bytes of the reference implementation")
    func referenceBytes() throws {
        var writer = SafetensorsWriter(metadata: ["format": "np"])
        writer.add("b", Matrix(rows: 2, columns: 1, elements: [1, -2]))
        writer.add("a", Matrix(rows: 1, columns: 3, elements: [1, 2, 0.5]), shape: [3], format: .float16)
        writer.add("c", doubles: [0.1], shape: [1])
        writer.add("d", integers: [-7], shape: [])
        writer.add("e", Matrix(rows: 1, columns: 0))
        try writer.write(to: path)
        let expected = try #require(Data(base64Encoded: Self.reference))
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == expected)
    }

    private static let reference =
        "OAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJucCJ9LCJkIjp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOltdLCJkYXRh"
        + "X29mZnNldHMiOlswLDhdfSwiYyI6eyJkdHlwZSI6IkY2NCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzgsMTZdfSwiYiI6"
        + "eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwxXSwiZGF0YV9vZmZzZXRzIjpbMTYsMjRdfSwiZSI6eyJkdHlwZSI6IkYzMiIsInNo"
        + "YXBlIjpbMSwwXSwiZGF0YV9vZmZzZXRzIjpbMjQsMjRdfSwiYSI6eyJkdHlwZSI6IkYxNiIsInNoYXBlIjpbM10sImRhdGFfb2Zm"
        + "c2V0cyI6WzI0LDMwXX19ICAgICD5/////////5qZmZmZmbk/AACAPwAAAMAAPABAADg="

    @Test("aligns every tensor to its type, whatever the order of adding")
    func alignment() throws {
        for shift in 0..<4 {
            var writer = SafetensorsWriter(metadata: ["pad": String(repeating: "x", count: shift)])
            writer.add("a", randomMatrix(rows: 1, columns: 3, seed: 1), format: .float16)
            writer.add("b", doubles: [1, 2, 3], shape: [3])
            writer.add("c", randomMatrix(rows: 1, columns: 1, seed: 2))
            writer.add("d", integers: [1], shape: [1])
            try writer.write(to: path)
            let start = try Data(contentsOf: URL(fileURLWithPath: path))[0]
            #expect(start.isMultiple(of: 8))
            for tensor in try SafetensorsFile(path: path).tensors.values {
                #expect(tensor.byteRange.lowerBound.isMultiple(of: tensor.dtype.bitsPerValue / 8), "\(tensor.name)")
            }
        }
    }

    @Test("makes the same bytes of the same tensors in any order")
    func deterministic() throws {
        let names = (0..<20).map { "layer.\($0)" }
        let metadata = Dictionary(uniqueKeysWithValues: names.map { ($0, "value") })
        let files = try [names, names.reversed()].map { names in
            var writer = SafetensorsWriter(metadata: metadata)
            for name in names { writer.add(name, Matrix(rows: 1, columns: 1, elements: [Float(name.count)])) }
            try writer.write(to: path)
            return try Data(contentsOf: URL(fileURLWithPath: path))
        }
        #expect(files[0] == files[1])
    }

    @Test("keeps the values as they were when they were added")
    func valueSemantics() throws {
        var matrix = Matrix(rows: 1, columns: 1, elements: [1])
        var writer = SafetensorsWriter()
        writer.add("x", matrix)
        matrix[0, 0] = 2
        try writer.write(to: path)
        #expect(try SafetensorsFile(path: path).matrix(named: "x").elements == [1])
    }

    @Test("writes a file without tensors")
    func empty() throws {
        try SafetensorsWriter().write(to: path)
        let file = try SafetensorsFile(path: path)
        #expect(file.tensors.isEmpty)
        #expect(file.metadata.isEmpty)
    }

    @Test("refuses a name that is taken, and a shape that the values do not make")
    func refusals() throws {
        let matrix = Matrix(rows: 2, columns: 2)
        func refusal(_ fill: (inout SafetensorsWriter) -> Void) -> SafetensorsError? {
            var writer = SafetensorsWriter()
            fill(&writer)
            return safetensorsError { try writer.write(to: path) }
        }
        let taken = refusal {
            $0.add("x", matrix)
            $0.add("x", integers: [], shape: [0])
        }
        #expect(taken == .unwritableTensor(tensor: "x", problem: "the name is taken"))
        #expect(
            refusal { $0.add("__metadata__", matrix) }
                == .unwritableTensor(tensor: "__metadata__", problem: "the name is taken"))
        for shape in [[3], [2, 3], [], [-2, -2], [.max, .max], [4, 0]] {
            guard case .unwritableTensor("x", _) = refusal({ $0.add("x", matrix, shape: shape) }) else {
                Issue.record("the shape \(shape) was not refused")
                continue
            }
        }
        #expect(
            refusal { $0.add("x", doubles: [1], shape: [2]) }
                == .unwritableTensor(tensor: "x", problem: "1 values do not make the shape [2]"))
        #expect(try scratch.fileNames.isEmpty)
    }

    @Test("refuses metadata that no reader would accept")
    func longMetadata() throws {
        // {"__metadata__":{"x":"..."}} and its padding.
        var writer = SafetensorsWriter(metadata: ["x": String(repeating: "x", count: 1000)])
        #expect(writer.headerLimit == 100_000_000)
        writer.headerLimit = 1031
        #expect(
            safetensorsError { try writer.write(to: path) } == .unwritableHeader(byteCount: 1032, limit: 1031))
        #expect(try scratch.fileNames.isEmpty)
        writer.headerLimit = 1032
        try writer.write(to: path)
    }
}
