import Files
import Foundation
import LinearAlgebra
import Transformer

/// The saved state of an unfinished fit: each worker's unrounded sums, so that a resumed fit gives the same factors as an uninterrupted
/// one.
///
/// It is a safetensors file with a checksum of its content: damaged sums would silently give wrong factors.
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

    func contents(covariances taps: [CovarianceTap], next: Int) -> SafetensorsWriter {
        var writer = SafetensorsWriter(metadata: metadata(stage: .covariances, next: next))
        for (worker, tap) in taps.enumerated() {
            for (owner, sum) in tap.activations { writer.add(sum.upperTriangle, "\(worker).activation.\(owner)") }
            for (layer, sum) in tap.gradients.enumerated() {
                writer.add(sum.upperTriangle, "\(worker).gradient.\(layer)")
            }
            writer.addCounts("\(worker).counts", tap.tokens, tap.sequences)
            addLayerTokens(tap.layerTokens, of: worker, to: &writer)
        }
        return writer
    }

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
            addLayerTokens(tap.layerTokens, of: worker, to: &writer)
        }
        return writer
    }

    private var hasExperts: Bool { tracked.layers.contains { $0.expert != nil } }

    /// Adds the tokens that went through each layer, if they are not the same for all layers.
    private func addLayerTokens(_ tokens: [Int], of worker: Int, to writer: inout SafetensorsWriter) {
        guard hasExperts else { return }
        writer.add("\(worker).layer_tokens", integers: tokens.map(Int64.init), shape: [tokens.count])
    }

    enum Found {
        case nothing
        case state(Saved)
        /// The state is that of another fit, or of another version.
        case ofAnotherFit
        case damaged
        case unreadable(reason: String)
    }

    /// Reads the file. Nothing of it is trusted before its checksum is verified.
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
            guard let counts = try counts(file, worker) else { return nil }
            taps.append(
                CovarianceTap(
                    activations: activations, gradients: gradients, layerTokens: counts.layerTokens,
                    tokens: counts.tokens, sequences: counts.sequences))
        }
        return taps
    }

    private func counts(
        _ file: SafetensorsFile, _ worker: Int
    ) throws -> (tokens: Int, sequences: Int, layerTokens: [Int])? {
        let counts = try file.integers(named: "\(worker).counts")
        guard counts.count == 2 else { return nil }
        var layerTokens = [Int](repeating: Int(counts[0]), count: tracked.layers.count)
        if hasExperts { layerTokens = try file.integers(named: "\(worker).layer_tokens").map { Int($0) } }
        guard layerTokens.count == tracked.layers.count else { return nil }
        return (Int(counts[0]), Int(counts[1]), layerTokens)
    }

    private func blocks(_ order: Int) -> [Range<Int>] {
        BlockDiagonal.ranges(order: order, largest: identity.largestBlock)
    }

    private func bases(_ file: SafetensorsFile) throws -> [Eigenbasis]? {
        var activations: [Int: BlockEigen] = [:]
        var bases: [Eigenbasis] = []
        func eigen(_ side: String, _ layer: TrackedLayer, order: Int) throws -> BlockEigen {
            BlockEigen(
                values: try file.eigenvalues(named: "\(side).values.\(layer.index)", count: order),
                vectors: try file.blocks(
                    named: "\(side).vectors.\(layer.index)", order: order, largest: identity.largestBlock))
        }
        for layer in tracked.layers {
            if layer.index == layer.inputOwner {
                activations[layer.index] = try eigen("activation", layer, order: layer.inputs)
            }
            guard let shared = activations[layer.inputOwner] else { return nil }
            bases.append(
                Eigenbasis(activations: shared, gradients: try eigen("gradient", layer, order: layer.outputs)))
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
            guard let counts = try counts(file, worker) else { return nil }
            taps.append(
                EigenvalueTap(
                    bases: bases, sums: sums, layerTokens: counts.layerTokens, tokens: counts.tokens,
                    sequences: counts.sequences))
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

/// Saves the state of a fit while it is under way, and loads the state of an interrupted one.
///
/// A state is useful only if the fit is interrupted. A fit goes on if its state cannot be saved or loaded.
struct FitStateKeeper {
    private let state: FitState?
    /// Bytes that the factors will take on the same disk.
    private let factorBytes: Int
    private var hasWarned: Set<FitWarning.Kind> = []
    /// Whether a state of this fit is on the disk.
    private(set) var isKept = false

    /// - Parameter state: `nil` to keep no state.
    init(_ state: FitState?, factorBytes: Int) {
        self.state = state
        self.factorBytes = factorBytes
    }

    /// The saved state of this fit, if there is one that can be used.
    ///
    /// - Parameter warn: Receives one warning of each kind per fit.
    mutating func load(warn: (FitWarning) -> Void) -> FitState.Saved? {
        guard let state else { return nil }
        AtomicFile.removeLeftovers(of: state.path)
        switch state.load() {
        case .nothing: return nil
        case .state(let saved):
            isKept = true
            return saved
        case .ofAnotherFit: tell(.stateOfAnotherFit(path: state.path), warn)
        case .damaged: tell(.stateDamaged(path: state.path), warn)
        case .unreadable(let reason): tell(.stateUnreadable(path: state.path, reason: reason), warn)
        }
        return nil
    }

    /// Saves a state in place of the one before.
    ///
    /// A state that is saved while the fit goes on must leave the space that the factors will need. The state of an interrupted fit can
    /// take that space.
    ///
    /// - Parameter isLast: Whether the fit ends here.
    /// - Returns: Why the state could not be saved; nil if it was saved, or if no state is kept.
    @discardableResult
    mutating func save(
        _ contents: (FitState) -> SafetensorsWriter, isLast: Bool, warn: (FitWarning) -> Void
    ) -> String? {
        guard let state else { return nil }
        let writer = contents(state)
        do {
            let bytes = writer.byteCount
            if !isLast, let free = FileSystem.shortage(of: bytes, at: state.path, leaving: factorBytes) {
                throw FitWarning.noSpaceForState(path: state.path, needed: bytes + factorBytes, free: free)
            }
            try writer.write(to: state.path, checksum: true)
            isKept = true
            return nil
        } catch let warning as FitWarning {
            tell(warning, warn)
            return "\(warning)"
        } catch {
            tell(.stateNotSaved(path: state.path, reason: "\(error)"), warn)
            return "\(error)"
        }
    }

    private mutating func tell(_ warning: FitWarning, _ warn: (FitWarning) -> Void) {
        if hasWarned.insert(warning.kind).inserted { warn(warning) }
    }
}

/// What is wrong with the state of a fit that goes on.
public enum FitWarning: Error, Equatable, CustomStringConvertible {
    case stateNotSaved(path: String, reason: String)
    case noSpaceForState(path: String, needed: Int, free: Int)
    case stateDamaged(path: String)
    case stateUnreadable(path: String, reason: String)
    case stateOfAnotherFit(path: String)

    enum Kind { case notSaved, noSpace, notUsed }

    var kind: Kind {
        switch self {
        case .stateNotSaved: .notSaved
        case .noSpaceForState: .noSpace
        case .stateDamaged, .stateUnreadable, .stateOfAnotherFit: .notUsed
        }
    }

    public var description: String {
        switch self {
        case .stateNotSaved(_, let reason):
            "the state of the fit cannot be saved: \(reason) The fit goes on, and tries again later."
        case .noSpaceForState(let path, let needed, let free):
            """
            \(path): the state of the fit is not saved, to leave space for the factors: both take \(needed / 1_000_000 + 1) MB, \
            and \(free / 1_000_000) MB are free. The fit goes on, and tries again later.
            """
        case .stateDamaged(let path):
            "\(path): the state of an interrupted fit is damaged: its content is not what was written. The fit starts again."
        case .stateUnreadable(let path, let reason):
            "\(path): the state of an interrupted fit cannot be read: \(reason) The fit starts again."
        case .stateOfAnotherFit(let path):
            """
            \(path): this is the state of another fit, with other options, another model or corpus, or of another version. It is \
            replaced.
            """
        }
    }
}
