import Foundation
import LinearAlgebra
import Testing
import Tokenizer

@testable import Transformer

@Suite("A checkpoint folder")
struct CheckpointTests {
    private let scratch: SafetensorsScratch

    init() throws {
        scratch = try SafetensorsScratch()
    }

    @Test(
        "written in Float32 loads as the very same decoder",
        arguments: ["gpt2", "gpt2-unprefixed", "llama-grouped-tied", "llama-biases-untied", "llama-f16"])
    func float32(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        try Checkpoint.write(decoder, to: scratch.folder, endOfText: 3)
        let loaded = try Checkpoint.loadDecoder(folder: scratch.folder)
        #expect(loaded.description == decoder.description)
        let (written, read) = (try decoder.namedParameters(), try loaded.namedParameters())
        #expect(written.map(\.name) == read.map(\.name))
        #expect(written.map(\.shape) == read.map(\.shape))
        for (a, b) in zip(written, read) { #expect(a.values == b.values, "\(a.name)") }
        #expect(try loaded.contentDigest() == decoder.contentDigest())
        #expect(loaded.parameterCount == written.reduce(0) { $0 + $1.values.count })
        let config = try scratch.configuration()
        #expect(config["eos_token_id"] as? Int == 3)
        #expect(config["torch_dtype"] as? String == "float32")
    }

    @Test(
        "written in half precision loads as the decoder rounded to it",
        arguments: ["gpt2", "llama-biases-untied"], [NumberFormat.float16, .bfloat16])
    func halfPrecision(model: String, format: NumberFormat) throws {
        let decoder = try ModelFixture(name: model).decoder()
        try Checkpoint.write(decoder, to: scratch.folder, format: format)
        let loaded = try Checkpoint.loadDecoder(folder: scratch.folder)
        #expect(loaded.description == decoder.description)
        for (a, b) in zip(try decoder.namedParameters(), try loaded.namedParameters()) {
            let rounded = Matrix(
                rows: a.values.rows, columns: a.values.columns, bytes: a.values.bytes(as: format), format: format)
            #expect(b.values == rounded, "\(a.name)")
        }
        #expect(try loaded.contentDigest() != decoder.contentDigest())
        let file = try SafetensorsFile(path: scratch.path("model.safetensors"))
        #expect(file.tensors.values.allSatisfy { $0.dtype.rawValue == format.rawValue })
        #expect(try scratch.configuration()["torch_dtype"] as? String == (format == .float16 ? "float16" : "bfloat16"))
    }

    @Test("loads with a tokenizer written beside it, and is named by what it holds")
    func withTokenizer() throws {
        let tokenizer = try BytePairTrainer(vocabularyCount: 270).train(on: ["the cat and the dog and the cat"])
        let decoder = try writeModel(vocabulary: 270, seed: 1)
        try tokenizer.write(to: URL(fileURLWithPath: scratch.folder))
        let checkpoint = try Checkpoint(folder: scratch.folder)
        #expect(checkpoint.tokenizer.digest == tokenizer.digest)
        #expect(checkpoint.digest == (try decoder.contentDigest()))
        let other = try writeModel(vocabulary: 270, seed: 2)
        #expect(try other.contentDigest() != checkpoint.digest)
        #expect(try Checkpoint(folder: scratch.folder).digest == other.contentDigest())
    }

    /// Writes a model of random weights, and gives it.
    private func writeModel(vocabulary: Int, seed: UInt64) throws -> DecoderModel {
        var configuration = TrainingConfiguration()
        configuration.vocabulary = vocabulary
        configuration.width = 12
        configuration.heads = 2
        configuration.keyValueHeads = 1
        configuration.layers = 1
        configuration.feedForwardWidth = 8
        let decoder = try DecoderModel(initializing: configuration.description, seed: seed)
        try Checkpoint.write(decoder, to: scratch.folder)
        return decoder
    }
}
