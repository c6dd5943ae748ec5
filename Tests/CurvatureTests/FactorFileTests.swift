import Files
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
        try FactorFile.write(factors, to: folder.path("factors"))
        let loaded = try FactorFile.load(
            folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: checkpoint.digest)
        #expect(loaded.provenance == factors.provenance)
        for (a, b) in zip(loaded.layers, factors.layers) {
            #expect(a.activationVectors == b.activationVectors)
            #expect(abs(a.defaultDamping - b.defaultDamping) < 1e-5 * b.defaultDamping)
        }
    }

    @Test("holds covariances that were split into blocks")
    func blocks() throws {
        let split = try FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest,
            source: .init(Array(try Oracle.all[1].sequences().prefix(4))), largestBlock: 24,
            workers: Workers(count: 1)
        ).run()
        try FactorFile.write(split, to: folder.path("factors"))
        let loaded = try FactorFile.load(
            folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: checkpoint.digest)
        #expect(loaded.provenance.largestBlock == 24)
        #expect(loaded.isIdentical(to: split))
    }

    @Test("names the size of the blocks in snake case, and reads the spelling of earlier versions")
    func blockKey() throws {
        var provenance = factors.provenance
        provenance.largestBlock = 24
        let text = String(decoding: try JSONEncoder().encode(provenance), as: UTF8.self)
        #expect(text.contains("\"largest_block\":24"))
        for spelling in ["largest_block", "largestBlock"] {
            let spelt = text.replacing("largest_block", with: spelling)
            #expect(try JSONDecoder().decode(FactorProvenance.self, from: Data(spelt.utf8)) == provenance)
        }
    }

    @Test("replaces the one that was there and leaves nothing beside it")
    func replaces() throws {
        try FactorFile.write(factors, to: folder.path("factors"))
        try FactorFile.write(factors, to: folder.path("factors"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["factors"])
    }

    @Test("is found after a crash between two renames: the one that is whole", arguments: [false, true])
    func betweenRenames(isNewOneDamaged: Bool) throws {
        let files = FileManager.default
        func load() throws -> EKFACFactors {
            try FactorFile.load(folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: checkpoint.digest)
        }
        try FactorFile.write(factors, to: folder.path("factors"))
        let before = try load()
        try files.copyItem(atPath: folder.path("factors"), toPath: folder.path(".factors.writing-99999"))
        try files.moveItem(atPath: folder.path("factors"), toPath: folder.path(".factors.writing-99999.old"))
        if isNewOneDamaged {
            try Data([1, 2, 3]).write(
                to: URL(fileURLWithPath: folder.path(".factors.writing-99999/lambda_matrix.safetensors")))
        }
        FactorFile.recover(at: folder.path("factors"))
        #expect(try files.contentsOfDirectory(atPath: folder.path) == ["factors"])
        let isIdentical = try load().isIdentical(to: before)
        #expect(isIdentical)
    }

    @Test("has the same bytes whenever the same factors are written")
    func sameBytes() throws {
        func bytes() throws -> [Data] {
            try FactorFile.write(factors, to: folder.path("factors"))
            return try FileManager.default.contentsOfDirectory(atPath: folder.path("factors")).sorted().map {
                try Data(contentsOf: URL(fileURLWithPath: folder.path("factors/\($0)")))
            }
        }
        let first = try bytes()
        #expect(first.count == 6)
        for _ in 0..<8 { #expect(try bytes() == first) }
    }

    @Test("names the program's one version")
    func program() throws {
        try FactorFile.write(factors, to: folder.path("factors"))
        let provenance = try FactorFile.inspect(folder: folder.path("factors")).provenance
        #expect(provenance?.program == "tributary \(WritingProgram.version)")
    }

    @Test("takes no more space than was said before it was written, and little less", arguments: [nil, 24])
    func byteCount(largestBlock: Int?) throws {
        let fitted = try FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest,
            source: .init(Array(try Oracle.all[1].sequences().prefix(2))), largestBlock: largestBlock,
            workers: Workers(count: 1)
        ).run()
        try FactorFile.write(fitted, to: folder.path("factors"))
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path("factors"))
        let page = 4_096
        let taken = try files.reduce(0) { sum, name in
            let size = try Data(contentsOf: URL(fileURLWithPath: folder.path("factors/\(name)"))).count
            return sum + (size + page - 1) / page * page
        }
        let said = FactorFile.byteCount(of: fitted.tracked, largestBlock: largestBlock)
        #expect(taken <= said && said <= taken + 600_000)
    }

    @Test("is refused for other weights")
    func otherWeights() throws {
        try FactorFile.write(factors, to: folder.path("factors"))
        #expect {
            try FactorFile.load(
                folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: "0123456789abcdef")
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

    @Test("says itself which layers it is of", arguments: [LayerSelection.attention, .feedForward, .all])
    func layers(selection: LayerSelection) throws {
        let factors = try FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest,
            source: .init(Array(try Oracle.all[1].sequences().prefix(4))), selection: selection,
            workers: Workers(count: 1)
        ).run()
        try FactorFile.write(factors, to: folder.path("factors"))
        let loaded = try FactorFile.load(
            folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: checkpoint.digest)
        #expect(loaded.tracked == factors.tracked && loaded.tracked.selection == selection)
        #expect(loaded.isIdentical(to: factors))
    }

    @Test("is refused if it is of some layers of an MLP only, with what it has and what would do")
    func someLayers() throws {
        try FactorFile.write(factors, to: folder.path("factors"))
        let path = folder.path("factors/lambda_matrix.safetensors")
        let whole = try SafetensorsFile(path: path)
        var writer = SafetensorsWriter(metadata: whole.metadata)
        for layer in factors.tracked.layers.dropLast() {
            writer.add(
                layer.name, try whole.matrix(named: layer.name, rows: layer.outputs, columns: layer.inputs))
        }
        try writer.write(to: path)
        let count = factors.tracked.layers.count
        #expect {
            try FactorFile.load(folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: nil)
        } throws: {
            "\($0)".contains("\(count - 1) layers") && "\($0)".contains("every MLP (\(count))")
                && "\($0)".contains("tributary fit")
        }
    }

    @Test("is refused if a layer has more or fewer eigenvalues than rows", arguments: [-1, 1])
    func otherEigenvalues(difference: Int) throws {
        try FactorFile.write(factors, to: folder.path("factors"))
        let path = folder.path("factors/activation_eigenvalues.safetensors")
        let whole = try SafetensorsFile(path: path)
        var writer = SafetensorsWriter(metadata: whole.metadata)
        for layer in factors.tracked.layers {
            writer.add(
                layer.name, doubles: [Double](repeating: 1, count: layer.inputs + difference),
                shape: [layer.inputs + difference])
        }
        try writer.write(to: path)
        #expect {
            try FactorFile.load(folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: nil)
        } throws: {
            if case SafetensorsError.wrongShape = $0 { true } else { false }
        }
    }

    @Test("that lacks a file is refused by the file's name")
    func missingFile() throws {
        try FactorFile.write(factors, to: folder.path("factors"))
        try FileManager.default.removeItem(atPath: folder.path("factors/gradient_eigenvectors.safetensors"))
        #expect(
            throws: FactorFileError.missingFile("gradient_eigenvectors.safetensors", folder: folder.path("factors"))
        ) {
            try FactorFile.load(folder: folder.path("factors"), for: checkpoint.decoder, modelDigest: nil)
        }
    }
}
