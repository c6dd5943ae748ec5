import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Dequantisation")
struct DequantizationTests {
    @Test(
        "equals the reference bit for bit",
        arguments: [GGUFTensorType.q80, .q40, .q41, .q50, .q51, .q2K, .q3K, .q4K, .q5K, .q6K])
    func reference(type: GGUFTensorType) throws {
        let fixture = try SafetensorsFile(path: ModelFixture.folder("../gguf") + "/dequantization.safetensors")
        let blocks = try fixture.integers(named: "\(type.name).blocks").map { UInt8(truncatingIfNeeded: $0) }
        let expected = try fixture.matrix(named: "\(type.name).values")
        let found = try #require(
            Dequantization.matrix(rows: expected.rows, columns: expected.columns, Data(blocks), type))
        #expect(expected.rows == 12 && expected.columns == type.layout.valueCount)
        #expect(found.elements.map(\.bitPattern) == expected.elements.map(\.bitPattern))
    }

    @Test("of types without blocks is exact")
    func plain() throws {
        let halves: [UInt8] = [0x00, 0x3C, 0x01, 0x00, 0xFF, 0x7B]
        #expect(
            Dequantization.matrix(rows: 1, columns: 3, Data(halves), .float16)?.elements
                == [1, 5.9604644775390625e-8, 65504])
        let brain: [UInt8] = [0x80, 0x3F, 0x01, 0x00, 0x80, 0xFF]
        #expect(
            Dequantization.matrix(rows: 1, columns: 3, Data(brain), .bfloat16)?.elements.map(\.bitPattern)
                == [0x3F80_0000, 0x0001_0000, 0xFF80_0000])
        let single = GGUFBuilder.little(Float(0.1).bitPattern)
        #expect(Dequantization.matrix(rows: 1, columns: 1, Data(single), .float32)?.elements == [0.1])
    }

    @Test("reads bytes from wherever they lie")
    func slice() throws {
        let block: [UInt8] = [0x00, 0x3C] + (0..<32).map { UInt8($0) }
        let within = Data([9, 9, 9] + block + [9])[3..<37]
        #expect(Dequantization.matrix(rows: 1, columns: 32, within, .q80)?.elements == (0..<32).map { Float($0) })
    }

    @Test("refuses other types, and a number of bytes that is not that of the shape")
    func refusals() {
        let bytes = Data(repeating: 0, count: 4096)
        for type in GGUFTensorType.allCases where !GGUFTensorType.supported.contains(type) {
            let (_, values, byteCount) = type.layout
            #expect(Dequantization.matrix(rows: 1, columns: values, bytes.prefix(byteCount), type) == nil)
        }
        #expect(Dequantization.matrix(rows: 1, columns: 32, bytes.prefix(34), .q80) != nil)
        #expect(Dequantization.matrix(rows: 1, columns: 32, bytes.prefix(33), .q80) == nil)
        #expect(Dequantization.matrix(rows: 1, columns: 31, bytes.prefix(34), .q80) == nil)
        #expect(Dequantization.matrix(rows: 2, columns: 32, bytes.prefix(34), .q80) == nil)
    }
}
