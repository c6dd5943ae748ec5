import Files
import Foundation
import LinearAlgebra
import Transformer

/// A folder of EK-FAC factors, in the files and under the tensor names that kronfluence writes. Each of the two programs loads the
/// other's folders.
///
/// | file (.safetensors) | tensor, one per tracked layer, under its module name |
/// |---|---|
/// | activation_eigenvectors | `Qa` [in, in], eigenvectors in columns, eigenvalues ascending |
/// | gradient_eigenvectors | `Qs` [out, out] |
/// | activation_eigenvalues, gradient_eigenvalues | [in], [out] |
/// | lambda_matrix | the sum over sequences of `((D Qs)ᵀ (A Qa))²`, [out, in] |
/// | num_lambda_processed | the number of these sequences, int64 [1] |
/// | num_activation_covariance_processed | the number of tokens that went to a layer of an expert, int64 [1]; absent without experts |
///
/// If covariances were split into diagonal blocks, a layer with more than one block has a tensor per block in place of `Qa` or `Qs`, under
/// the layer's name and `.block.0` and so on. Other programs cannot read these.
///
/// A layer with a bias counts a 1 among its inputs. Damping is not stored. The metadata entry `tributary` holds the ``FactorProvenance``
/// as JSON.
public enum FactorFile {
    private static let provenanceKey = "tributary"

    /// Writes a folder in place of an earlier one, or leaves the earlier one unchanged, as ``AtomicFolder`` does. Equal factors give equal
    /// bytes.
    ///
    /// When this returns, the factors outlast a power failure.
    ///
    /// - Throws: ``AtomicFileError`` that names the folder, or ``SafetensorsError``.
    public static func write(_ factors: EKFACFactors, to folder: String) throws {
        recover(at: folder)
        do {
            var place = try AtomicFolder(replacing: folder)
            try writeFiles(of: factors, into: place.contents)
            try place.commit()
        } catch let error as AtomicFileError {
            throw error.naming(folder)
        }
    }

    private static func writeFiles(of factors: EKFACFactors, into folder: String) throws {
        let sequences = factors.provenance.sequences
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let provenance = String(decoding: try encoder.encode(factors.provenance), as: UTF8.self)
        func write(_ name: String, _ add: (inout SafetensorsWriter, String, LayerFactors) -> Void) throws {
            var writer = SafetensorsWriter(metadata: [
                provenanceKey: provenance, "strategy": "ekfac",
                "use_empirical_fisher": factors.provenance.fisher == .empirical ? "True" : "False",
            ])
            for (layer, layerFactors) in zip(factors.tracked.layers, factors.layers) {
                add(&writer, layer.name, layerFactors)
            }
            try writer.write(to: path(of: name, in: folder))
        }
        func vector(_ values: [Double]) -> Matrix {
            Matrix(rows: 1, columns: values.count, elements: values.map(Float.init))
        }
        try write("activation_eigenvectors") { $0.add($1, blocks: $2.activationVectors) }
        try write("gradient_eigenvectors") { $0.add($1, blocks: $2.gradientVectors) }
        try write("activation_eigenvalues") {
            $0.add($1, vector($2.activationValues), shape: [$2.activationValues.count])
        }
        try write("gradient_eigenvalues") { $0.add($1, vector($2.gradientValues), shape: [$2.gradientValues.count]) }
        try write("lambda_matrix") { writer, name, layer in
            var sum = layer.eigenvalues
            sum.scale(by: Float(sequences))
            writer.add(name, sum)
        }
        try write("num_lambda_processed") { writer, name, _ in
            writer.add(name, integers: [Int64(sequences)], shape: [1])
        }
        guard factors.layers.contains(where: { $0.tokens != nil }) else { return }
        try write(tokenCounts) { writer, name, layer in
            if let tokens = layer.tokens { writer.add(name, integers: [Int64(tokens)], shape: [1]) }
        }
    }

    /// The file of the tokens that went to experts.
    private static let tokenCounts = "num_activation_covariance_processed"

    private static let fileNames = [
        "activation_eigenvectors", "gradient_eigenvectors", "activation_eigenvalues", "gradient_eigenvalues",
        "lambda_matrix", "num_lambda_processed",
    ]

    private static func path(of name: String, in folder: String) -> String {
        URL(fileURLWithPath: folder).appendingPathComponent(name + ".safetensors").path
    }

    /// Puts back a complete folder that a crash left beside its path, and removes all other leftovers of crashes.
    public static func recover(at folder: String) {
        AtomicFolder.recover(folder) { found in
            fileNames.allSatisfy { (try? SafetensorsFile(path: path(of: $0, in: found))) != nil }
        }
    }

    /// The most bytes that a folder of factors takes on a disk, with the headers of its files and the rounding of file systems.
    ///
    /// - Parameter largestBlock: As ``FactorProvenance/largestBlock``.
    static func byteCount(of tracked: TrackedLayers, largestBlock: Int?) -> Int {
        let overhead = fileNames.count * (65_536 + tracked.layers.count * 512)
        return tracked.layers.reduce(overhead) { sum, layer in
            let vectors = [layer.inputs, layer.outputs].flatMap {
                BlockDiagonal.ranges(order: $0, largest: largestBlock)
            }
            .reduce(0) { $0 + $1.count * $1.count }
            let values = vectors + layer.inputs + layer.outputs + layer.inputs * layer.outputs
            return sum + values * MemoryLayout<Float>.size + MemoryLayout<Int64>.size
        }
    }

    /// Loads a folder.
    ///
    /// - Parameters:
    ///   - decoder: The model to which the factors must belong.
    ///   - modelDigest: Compared with the digest that the folder records, if it records one.
    /// - Throws: ``FactorFileError``, or ``SafetensorsError`` for a damaged file.
    public static func load(folder: String, for decoder: DecoderModel, modelDigest: String?) throws -> EKFACFactors {
        func open(_ name: String) throws -> SafetensorsFile {
            let path = path(of: name, in: folder)
            guard FileManager.default.fileExists(atPath: path) else {
                throw FactorFileError.missingFile(name + ".safetensors", folder: folder)
            }
            return try SafetensorsFile(path: path)
        }
        let lambda = try open("lambda_matrix")
        let recorded = recordedProvenance(of: lambda)
        if let model = recorded?.model, let modelDigest, model != modelDigest {
            throw FactorFileError.ofAnotherModel(
                folder: folder,
                difference: "they were fitted to weights with digest \(model.prefix(12))…, and this "
                    + "model's is \(modelDigest.prefix(12))…")
        }
        let tracked = try trackedLayers(named: Set(lambda.tensors.keys), of: decoder, folder: folder)
        let activationVectors = try open("activation_eigenvectors")
        let gradientVectors = try open("gradient_eigenvectors")
        let activationValues = try open("activation_eigenvalues")
        let gradientValues = try open("gradient_eigenvalues")
        let counts = try open("num_lambda_processed")
        let hasTokenCounts = FileManager.default.fileExists(atPath: path(of: tokenCounts, in: folder))
        let tokens = hasTokenCounts ? try open(tokenCounts) : nil
        var layers: [LayerFactors] = []
        var sequences = 0
        for layer in tracked.layers {
            guard let count = try counts.integers(named: layer.name).first, count > 0 else {
                throw FactorFileError.missingFile("count of layer \(layer.name)", folder: folder)
            }
            sequences = Int(count)
            var eigenvalues = try lambda.matrix(named: layer.name, rows: layer.outputs, columns: layer.inputs)
            eigenvalues.scale(by: 1 / Float(count))
            var vectors = try activationVectors.blocks(
                named: layer.name, order: layer.inputs, largest: recorded?.largestBlock)
            // Layers that read the same inputs share one Qa in memory.
            if layer.inputOwner != layer.index, vectors == layers[layer.inputOwner].activationVectors {
                vectors = layers[layer.inputOwner].activationVectors
            }
            var factors = LayerFactors(
                activationVectors: vectors,
                gradientVectors: try gradientVectors.blocks(
                    named: layer.name, order: layer.outputs, largest: recorded?.largestBlock),
                activationValues: try activationValues.eigenvalues(named: layer.name, count: layer.inputs),
                gradientValues: try gradientValues.eigenvalues(named: layer.name, count: layer.outputs),
                eigenvalues: eigenvalues)
            if layer.expert != nil, let tokens, tokens.tensors[layer.name] != nil {
                factors.tokens = try tokens.integers(named: layer.name).first.map { max(0, Int($0)) }
            }
            guard factors.activationVectors.isFinite, factors.gradientVectors.isFinite, eigenvalues.isFinite else {
                throw FactorFileError.notFinite(layer: layer.name, folder: folder)
            }
            layers.append(factors)
        }
        let provenance =
            recorded
            ?? FactorProvenance(
                fisher: lambda.metadata["use_empirical_fisher"] == "True" ? .empirical : .sampled, model: nil,
                corpus: nil, sequences: sequences, tokens: nil, seed: nil, program: "kronfluence")
        return EKFACFactors(tracked: tracked, layers: layers, provenance: provenance)
    }

    /// Reads the provenance that a folder records, and how many layers its factors have, without loading them.
    ///
    /// - Throws: ``SafetensorsError``.
    public static func inspect(folder: String) throws -> (provenance: FactorProvenance?, layers: Int) {
        let lambda = try SafetensorsFile(path: path(of: "lambda_matrix", in: folder))
        return (recordedProvenance(of: lambda), lambda.tensors.count)
    }

    private static func recordedProvenance(of file: SafetensorsFile) -> FactorProvenance? {
        file.metadata[provenanceKey].flatMap { try? JSONDecoder().decode(FactorProvenance.self, from: Data($0.utf8)) }
    }

    /// Whether a folder holds factors.
    public static func exists(at folder: String) -> Bool {
        FileManager.default.fileExists(atPath: path(of: "lambda_matrix", in: folder))
    }

    /// The selection of layers that has exactly these names.
    private static func trackedLayers(
        named names: Set<String>, of decoder: DecoderModel, folder: String
    ) throws -> TrackedLayers {
        var selections = [LayerSelection.feedForward, .attention, .all].map { TrackedLayers(of: decoder, $0) }
        if decoder.hasAdapters { selections.append(TrackedLayers(of: decoder, .adapter)) }
        if let tracked = selections.first(where: { Set($0.layers.map(\.name)) == names }) { return tracked }
        if names.allSatisfy({ name in selections.contains { $0[name] != nil } }) {
            throw FactorFileError.ofSomeLayers(
                folder: folder, found: names.count, feedForward: selections[0].layers.count,
                attention: selections[1].layers.count)
        }
        let expected = TrackedLayers(of: decoder).layers.first?.name ?? "none"
        throw FactorFileError.ofAnotherModel(
            folder: folder,
            difference: "they name layers such as \"\(names.sorted().first ?? "none")\" (\(names.count) in "
                + "all), and this model has layers such as \"\(expected)\"")
    }
}

/// Why a folder of factors cannot be used.
public enum FactorFileError: Error, Equatable, CustomStringConvertible {
    case missingFile(String, folder: String)
    case ofAnotherModel(folder: String, difference: String)
    /// The factors' layers are neither those of every MLP, nor those of attention, nor both. `feedForward` and `attention` are the numbers
    /// of such layers in the model.
    case ofSomeLayers(folder: String, found: Int, feedForward: Int, attention: Int)
    case notFinite(layer: String, folder: String)

    public var description: String {
        switch self {
        case .missingFile(let file, let folder): "\(folder): there is no \(file): fit the factors again"
        case .ofAnotherModel(let folder, let difference):
            "\(folder): these factors are of another model: \(difference). Fit factors for this model, or name the one they "
                + "belong to."
        case .ofSomeLayers(let folder, let found, let feedForward, let attention):
            "\(folder): these factors are of \(found) layers of this model; expected those of every MLP (\(feedForward)), of "
                + "attention (\(attention)) or of both (\(feedForward + attention)): fit them again with tributary fit --track"
        case .notFinite(let layer, let folder):
            "\(folder): the factors of layer \"\(layer)\" hold values that are not finite: fit them again"
        }
    }
}

extension SafetensorsWriter {
    /// Adds one tensor under the name, or one per block: `name.block.0` and so on.
    mutating func add(_ name: String, blocks matrix: BlockDiagonal) {
        if let whole = matrix.blocks.first, matrix.blocks.count == 1 { return add(name, whole) }
        for (index, block) in matrix.blocks.enumerated() { add("\(name).block.\(index)", block) }
    }
}

extension SafetensorsFile {
    /// Reads a layer's eigenvalues.
    ///
    /// - Throws: ``SafetensorsError``, also for another number of eigenvalues than expected.
    func eigenvalues(named name: String, count: Int) throws -> [Double] {
        let values = try doubles(named: name)
        guard values.count == count else {
            throw SafetensorsError.wrongShape(tensor: name, file: fileName, expected: [count], found: [values.count])
        }
        return values
    }

    /// Reads a matrix that ``SafetensorsWriter/add(_:blocks:)`` wrote.
    ///
    /// - Parameter largest: The most rows of the blocks into which larger matrices were split.
    /// - Throws: ``SafetensorsError``.
    func blocks(named name: String, order: Int, largest: Int?) throws -> BlockDiagonal {
        let ranges = BlockDiagonal.ranges(order: order, largest: largest)
        guard ranges.count > 1 else { return BlockDiagonal(try matrix(named: name, rows: order, columns: order)) }
        return BlockDiagonal(
            blocks: try ranges.enumerated().map { index, range in
                try matrix(named: "\(name).block.\(index)", rows: range.count, columns: range.count)
            })
    }
}
