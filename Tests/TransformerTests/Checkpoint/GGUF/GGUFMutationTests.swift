import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Any mutation of a GGUF file")
struct GGUFMutationTests {
    @Test("is read or refused with a typed error", arguments: 0..<8)
    func mutations(seed: UInt64) throws {
        var builder = GGUFBuilder.llama()
        builder.add("tokenizer.ggml.model", "gpt2")
        builder.add("tokenizer.ggml.tokens", ["a", "b", "ab"])
        builder.add("tokenizer.ggml.scores", arrayOf: .float32, count: 1, bytes: [0, 0, 0x80, 0x3F])
        let original = builder.bytes
        var random = SplitMix64(seed: seed)
        var read = 0
        var refused = 0
        for _ in 0..<500 {
            let bytes = mutated(original, using: &random)
            do {
                let file = try GGUFFile(path: "mutated.gguf", contents: Data(bytes))
                readEverything(file)
                read += 1
            } catch let error as GGUFError {
                #expect(!error.description.isEmpty)
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0, "mutations that are all of one kind show nothing")
    }

    private func mutated(_ original: [UInt8], using random: inout SplitMix64) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            guard !bytes.isEmpty else { return bytes }
            let start = Int.random(in: 0..<bytes.count, using: &random)
            let range = start..<min(bytes.count, start + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[start] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[start] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.removeSubrange(range)
            case 3: bytes.insert(contentsOf: bytes[range], at: Int.random(in: 0...bytes.count, using: &random))
            case 4: bytes.removeLast(bytes.count - start)
            default:
                for index in range { bytes[index] = Bool.random(using: &random) ? 0 : 0xFF }
            }
        }
        return bytes
    }

    /// Asks for everything in every way; refusals are part of the contract, crashes are not.
    private func readEverything(_ file: GGUFFile) {
        _ = try? file.tokenizerMetadata()
        for key in file.metadata.keys {
            _ = try? file.string(key)
            _ = try? file.integers(key)
            _ = try? file.numbers(key)
            _ = try? file.strings(key)
        }
        for name in file.tensors.keys { _ = try? file.matrix(named: name) }
    }
}
