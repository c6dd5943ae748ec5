import Foundation
import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Curvature

@Suite("A folder of factors")
struct FactorFileTests {
    private let checkpoint: Checkpoint
    private let factors: EKFACFactors
    private let folder: TemporaryFolder

    init() throws {
        let oracle = Oracle.all[1]
        checkpoint = try oracle.checkpoint()
        let sequences = Array(try oracle.sequences().prefix(12))
        factors = try FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest, source: .init(sequences), seed: 4
        ).run()
        folder = try TemporaryFolder()
    }

    @Test("comes back as it was written, with its provenance")
    func roundTrip() throws {
        try FactorFile.write(factors, to: folder.file("factors"))
        let loaded = try FactorFile.load(
            folder: folder.file("factors"), for: checkpoint.decoder, modelDigest: checkpoint.digest)
        #expect(loaded.provenance == factors.provenance)
        for (a, b) in zip(loaded.layers, factors.layers) {
            #expect(a.activationVectors == b.activationVectors)
            #expect(abs(a.defaultDamping - b.defaultDamping) < 1e-5 * b.defaultDamping)
        }
    }

    @Test("replaces the one that was there and leaves nothing beside it")
    func replaces() throws {
        try FactorFile.write(factors, to: folder.file("factors"))
        try FactorFile.write(factors, to: folder.file("factors"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["factors"])
    }

    @Test("is refused for other weights")
    func otherWeights() throws {
        try FactorFile.write(factors, to: folder.file("factors"))
        #expect {
            try FactorFile.load(
                folder: folder.file("factors"), for: checkpoint.decoder, modelDigest: "0123456789abcdef")
        } throws: {
            "\($0)".contains("of another model")
        }
    }

    @Test("is refused for a model with other layers")
    func otherLayers() throws {
        let other = try Oracle.all[0].checkpoint()
        #expect {
            try FactorFile.load(folder: Oracle.all[1].factorFolder, for: other.decoder, modelDigest: nil)
        } throws: {
            "\($0)".contains("model.layers.0.mlp.down_proj") && "\($0)".contains("transformer.h.0.mlp.c_fc")
        }
    }

    @Test("that lacks a file is refused by the file's name")
    func missingFile() throws {
        try FactorFile.write(factors, to: folder.file("factors"))
        try FileManager.default.removeItem(atPath: folder.file("factors/gradient_eigenvectors.safetensors"))
        #expect(
            throws: FactorFileError.missingFile("gradient_eigenvectors.safetensors", folder: folder.file("factors"))
        ) {
            try FactorFile.load(folder: folder.file("factors"), for: checkpoint.decoder, modelDigest: nil)
        }
    }
}
