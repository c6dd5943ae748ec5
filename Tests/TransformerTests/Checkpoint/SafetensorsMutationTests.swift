import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Any mutation of a safetensors file")
struct SafetensorsMutationTests {
    private static let fragments: [[UInt8]] = [
        "{", "}", "[", "]", "\"", ":", ",", "\\", "\\u", "\\ud800", "-", "0", "9", "1e9", ".5", "null", "\"x\":",
        "9223372036854775807", "18446744073709551616", "\"dtype\"", "\"shape\"", "F64", "BF16", "F4", "F6_E2M3",
        "__metadata__", "[0,0]", "[0,8]", " ", "\u{0}", "é",
    ].map { Array($0.utf8) }

    /// Changes, inserts, removes, doubles or moves a few bytes, most of them in the header.
    private func mutated(_ original: [UInt8], headerEnd: Int, using random: inout SplitMix64) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            guard !bytes.isEmpty else { return bytes }
            let limit = Bool.random(using: &random) ? min(headerEnd, bytes.count) : bytes.count
            let start = Int.random(in: 0..<limit, using: &random)
            let range = start..<min(bytes.count, start + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[start] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[start] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.removeSubrange(range)
            case 3: bytes.insert(contentsOf: bytes[range], at: Int.random(in: 0...bytes.count, using: &random))
            case 4: bytes.removeLast(bytes.count - start)
            case 5: bytes.append(contentsOf: bytes[range])
            case 6:
                // The digits are where the sizes are: one of them for another keeps the file's form.
                let digits = bytes.indices.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[$0]) }
                guard let digit = digits.randomElement(using: &random) else { continue }
                bytes[digit] = UInt8.random(in: UInt8(ascii: "0")...UInt8(ascii: "9"), using: &random)
            default:
                guard let fragment = Self.fragments.randomElement(using: &random) else { continue }
                bytes.replaceSubrange(Bool.random(using: &random) ? range : start..<start, with: fragment)
            }
        }
        return bytes
    }

    /// Sets the length to that of the header again, so that mutations reach the parser behind it.
    private func repaired(_ bytes: [UInt8], dataBytes: Int) -> [UInt8] {
        guard bytes.count >= 8 + dataBytes else { return bytes }
        let header = bytes[8..<bytes.count - dataBytes]
        return (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + bytes.suffix(dataBytes)
    }

    @Test("is read or refused with a typed error", arguments: 0..<8)
    func mutations(seed: UInt64) throws {
        let scratch = try SafetensorsScratch()
        var writer = SafetensorsWriter(metadata: ["format": "pt", "é\n": "\"\\"])
        writer.add("w", Matrix(rows: 2, columns: 3, elements: [1, 2, 3, 4, 5, 6]))
        writer.add("half", Matrix(rows: 1, columns: 3, elements: [1, 2, 3]), shape: [3], format: .float16)
        writer.add("d", doubles: [0.5, 0.25], shape: [2])
        writer.add("i", integers: [1], shape: [])
        try writer.write(to: scratch.path("valid.safetensors"))
        let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: scratch.path("valid.safetensors"))))
        let dataBytes = 24 + 6 + 16 + 8

        var random = SplitMix64(seed: seed)
        var read = 0
        var refused = 0
        for _ in 0..<1000 {
            var bytes = mutated(original, headerEnd: original.count - dataBytes, using: &random)
            if Bool.random(using: &random) { bytes = repaired(bytes, dataBytes: dataBytes) }
            do {
                let file = try SafetensorsFile(path: "mutated.safetensors", contents: Data(bytes))
                try readEverything(file)
                read += 1
            } catch let error as SafetensorsError {
                #expect(!error.description.isEmpty)
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0, "mutations that are all of one kind show nothing")
    }

    /// Asks for every tensor in every way; refusals are part of the contract, crashes are not.
    private func readEverything(_ file: SafetensorsFile) throws {
        let weights = SafetensorsCollection(file: file)
        for name in weights.names {
            let tensor = try #require(file.tensors[name])
            #expect(tensor.count == tensor.shape.reduce(1, *))
            for read in [
                { _ = try file.matrix(named: name) }, { _ = try file.doubles(named: name) },
                { _ = try file.integers(named: name) }, { _ = try weights.matrix(named: name) },
            ] {
                do { try read() } catch is SafetensorsError {}
            }
        }
    }
}
