import Foundation
import LinearAlgebra
import Transformer

/// The saved state of an unfinished fit: each worker's sums as they are, so that going on gives what an undisturbed run gives.
///
/// A safetensors file with a checksum of all it holds: sums that were damaged would make factors that are wrong in silence.
struct FitState {
    enum Saved {
        case covariances([CovarianceTap], next: Int)
        case eigenvalues([Eigenbasis], [EigenvalueTap], next: Int)
    }

    let path: String
    let identity: FactorProvenance
    let tracked: TrackedLayers
    let workers: Int

    private var identityText: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return (try? encoder.encode(identity)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The metadata with the provenance's key as ``FactorProvenance`` writes it now.
    private static func withoutEarlierKeys(_ metadata: [String: String]) -> [String: String] {
        var metadata = metadata
        metadata["identity"] = metadata["identity"]?.replacing("\"largestBlock\":", with: "\"largest_block\":")
        return metadata
    }

    private func metadata(stage: FactorFit.Stage, next: Int) -> [String: String] {
        [
            "identity": identityText, "layers": tracked.layers.map(\.name).joined(separator: ","),
            "workers": "\(workers)", "stage": stage.rawValue, "next": "\(next)",
        ]
    }

    /// What there is to save of the first stage.
    func contents(covariances taps: [CovarianceTap], next: Int) -> SafetensorsWriter {
        var writer = SafetensorsWriter(metadata: metadata(stage: .covariances, next: next))
        for (worker, tap) in taps.enumerated() {
            for (owner, sum) in tap.activations { writer.add(sum.upperTriangle, "\(worker).activation.\(owner)") }
            for (layer, sum) in tap.gradients.enumerated() {
                writer.add(sum.upperTriangle, "\(worker).gradient.\(layer)")
            }
            writer.addCounts("\(worker).counts", tap.tokens, tap.sequences)
        }
        return writer
    }

    /// What there is to save of the last stage.
    func contents(bases: [Eigenbasis], eigenvalues taps: [EigenvalueTap], next: Int) -> SafetensorsWriter {
        var writer = SafetensorsWriter(metadata: metadata(stage: .eigenvalues, next: next))
        for (layer, basis) in zip(tracked.layers, bases) {
            if layer.index == layer.inputOwner {
                writer.add("activation.vectors.\(layer.index)", blocks: basis.activations.vectors)
                writer.add(basis.activations.values, "activation.values.\(layer.index)")
            }
            writer.add("gradient.vectors.\(layer.index)", blocks: basis.gradients.vectors)
            writer.add(basis.gradients.values, "gradient.values.\(layer.index)")
        }
        for (worker, tap) in taps.enumerated() {
            for (layer, sum) in tap.sums.enumerated() { writer.add(sum.values, "\(worker).squares.\(layer)") }
            writer.addCounts("\(worker).counts", tap.tokens, tap.sequences)
        }
        return writer
    }

    /// What a file may turn out to be.
    enum Found {
        case nothing
        case state(Saved)
        /// Of another fit, or of another version.
        case ofAnotherFit
        case damaged
        case unreadable(reason: String)
    }

    /// Reads what is there. Nothing of it is trusted before its checksum is verified.
    func load() -> Found {
        do {
            let file = try SafetensorsFile(path: path)
            guard file.hasChecksum else { return .ofAnotherFit }
            try file.verifyChecksum()
            guard let next = file.metadata["next"].flatMap({ Int($0) }),
                let stage = file.metadata["stage"].flatMap(FactorFit.Stage.init(rawValue:)),
                Self.withoutEarlierKeys(file.metadata) == metadata(stage: stage, next: next)
            else { return .ofAnotherFit }
            return try saved(file, stage, next: next).map { .state($0) } ?? .damaged
        } catch SafetensorsError.missingFile {
            return .nothing
        } catch let error as SafetensorsError where error.isDamage {
            return .damaged
        } catch {
            return .unreadable(reason: "\(error)")
        }
    }

    private func saved(_ file: SafetensorsFile, _ stage: FactorFit.Stage, next: Int) throws -> Saved? {
        switch stage {
        case .covariances: return try covariances(file).map { .covariances($0, next: next) }
        case .eigendecomposition: return nil
        case .eigenvalues:
            guard let bases = try bases(file), let taps = try eigenvalues(file, bases) else { return nil }
            return .eigenvalues(bases, taps, next: next)
        }
    }

    private func covariances(_ file: SafetensorsFile) throws -> [CovarianceTap]? {
        var taps: [CovarianceTap] = []
        for worker in 0..<workers {
            var activations: [Int: SymmetricAccumulator] = [:]
            var gradients: [SymmetricAccumulator] = []
            for layer in tracked.layers {
                if layer.index == layer.inputOwner {
                    activations[layer.index] = SymmetricAccumulator(
                        blocks: blocks(layer.inputs),
                        upperTriangle: try file.doubles(named: "\(worker).activation.\(layer.index)"))
                }
                let triangle = try file.doubles(named: "\(worker).gradient.\(layer.index)")
                guard let sum = SymmetricAccumulator(blocks: blocks(layer.outputs), upperTriangle: triangle) else {
                    return nil
                }
                gradients.append(sum)
            }
            let counts = try file.integers(named: "\(worker).counts")
            guard counts.count == 2 else { return nil }
            taps.append(
                CovarianceTap(
                    activations: activations, gradients: gradients, tokens: Int(counts[0]), sequences: Int(counts[1])))
        }
        return taps
    }

    private func blocks(_ order: Int) -> [Range<Int>] {
        BlockDiagonal.ranges(order: order, largest: identity.largestBlock)
    }

    private func bases(_ file: SafetensorsFile) throws -> [Eigenbasis]? {
        var activations: [Int: BlockEigen] = [:]
        var bases: [Eigenbasis] = []
        for layer in tracked.layers {
            if layer.index == layer.inputOwner {
                activations[layer.index] = BlockEigen(
                    values: try file.eigenvalues(named: "activation.values.\(layer.index)", count: layer.inputs),
                    vectors: try file.blocks(
                        named: "activation.vectors.\(layer.index)", order: layer.inputs, largest: identity.largestBlock)
                )
            }
            guard let shared = activations[layer.inputOwner] else { return nil }
            bases.append(
                Eigenbasis(
                    activations: shared,
                    gradients: BlockEigen(
                        values: try file.eigenvalues(named: "gradient.values.\(layer.index)", count: layer.outputs),
                        vectors: try file.blocks(
                            named: "gradient.vectors.\(layer.index)", order: layer.outputs,
                            largest: identity.largestBlock))))
        }
        return bases
    }

    private func eigenvalues(_ file: SafetensorsFile, _ bases: [Eigenbasis]) throws -> [EigenvalueTap]? {
        var taps: [EigenvalueTap] = []
        for worker in 0..<workers {
            var sums: [SquareAccumulator] = []
            for layer in tracked.layers {
                let values = try file.doubles(named: "\(worker).squares.\(layer.index)")
                guard let sum = SquareAccumulator(rows: layer.outputs, columns: layer.inputs, values: values) else {
                    return nil
                }
                sums.append(sum)
            }
            let counts = try file.integers(named: "\(worker).counts")
            guard counts.count == 2 else { return nil }
            taps.append(EigenvalueTap(bases: bases, sums: sums, tokens: Int(counts[0]), sequences: Int(counts[1])))
        }
        return taps
    }
}

extension SafetensorsWriter {
    fileprivate mutating func add(_ values: [Double], _ name: String) {
        add(name, doubles: values, shape: [values.count])
    }

    fileprivate mutating func addCounts(_ name: String, _ tokens: Int, _ sequences: Int) {
        add(name, integers: [Int64(tokens), Int64(sequences)], shape: [2])
    }
}
