import Foundation
import Limits
import Transformer

/// The sequences that a fit and a sweep go over.
public struct CorpusLoad: Sendable, Encodable {
    public let sequences: Int
    public let tokens: Int

    public init(sequences: Int, tokens: Int) {
        self.sequences = sequences
        self.tokens = tokens
    }

    var meanLength: Double { Double(tokens) / Double(max(sequences, 1)) }

    /// How many sequences costs can be asked for.
    public static let limit = 1...1_000_000_000

    /// As many sequences of the same mean length.
    public func resized(to count: Int) -> CorpusLoad {
        CorpusLoad(sequences: count, tokens: Int(saturating: (meanLength * Double(count)).rounded()))
    }
}

/// What a fit of factors and a sweep over candidates cost: floating-point operations (a multiply-add is two), bytes and seconds.
///
/// A pass, forward and backward to the inputs of the lowest tracked layer, takes four operations a parameter and token; the rest
/// is the arithmetic of ``CovarianceTap``, of the eigendecompositions (nine operations times the cube of an order) and of scoring.
/// Seconds come from a pass, a product and a decomposition that were timed, and so hold for the machine as it was then.
public struct CostEstimate: Sendable, Encodable {
    public struct Stage: Sendable, Encodable {
        public let operations: Double
        /// nil where nothing was measured.
        public let seconds: Double?
    }

    public let sequences: Int
    public let tokens: Int
    public let covariances: Stage
    public let eigendecompositions: Stage
    public let eigenvalues: Stage
    /// The three together.
    public let fit: Stage
    /// Bytes of the files that a fit leaves.
    public let factorFileBytes: Int
    /// A sweep of one compressed query over all sequences.
    public let sweep: Stage
    /// The rank to which that query is compressed.
    public let sweepRank: Int

    enum CodingKeys: String, CodingKey {
        case sequences, tokens, covariances, eigendecompositions, eigenvalues, fit, sweep
        case factorFileBytes = "factor_file_bytes"
        case sweepRank = "sweep_rank"
    }

    init(
        of decoder: DecoderModel, tracked: TrackedLayers, factors: [LayerFactorShape], load: CorpusLoad,
        measurement: MachineMeasurement?, rank: Int = 32
    ) {
        let tokens = Double(load.tokens)
        let pass = tokens * decoder.passOperations(atLength: load.meanLength)
        let grams = Double(factors.reduce(0) { $0 + $1.eigenvectors })
        let rotations = Double(2 * factors.reduce(0) { $0 + $1.values })
        let cubes = factors.flatMap(\.orders).reduce(0.0) { $0 + pow(Double($1), 3) }
        let scoring = tracked.layers.reduce(0.0) { sum, layer in
            sum + Double(2 * min(rank, layer.inputs, layer.outputs) * (layer.inputs + layer.outputs))
        }
        let passSeconds = measurement.map { tokens / $0.tokensPerSecond }
        func stage(_ products: Double, passes: Double) -> Stage {
            Stage(
                operations: passes * pass + products,
                seconds: measurement.flatMap { measured in
                    passSeconds.map { passes * $0 + products / measured.productOperationsPerSecond }
                })
        }
        sequences = load.sequences
        self.tokens = load.tokens
        covariances = stage(tokens * grams, passes: 1)
        eigendecompositions = Stage(
            operations: 9 * cubes, seconds: measurement.map { 9 * cubes / $0.decompositionOperationsPerSecond })
        eigenvalues = stage(tokens * rotations, passes: 1)
        let parts = [covariances, eigendecompositions, eigenvalues]
        fit = Stage(
            operations: parts.reduce(0) { $0 + $1.operations },
            seconds: measurement == nil ? nil : parts.reduce(0) { $0 + ($1.seconds ?? 0) })
        factorFileBytes = factors.reduce(0) { $0 + $1.valuesInFile } * MemoryLayout<Float>.stride
        sweep = stage(tokens * scoring, passes: 1)
        sweepRank = rank
    }
}

extension DecoderModel {
    /// Operations of a pass, forward and backward to the lowest inputs, for a token of a sequence of this length.
    func passOperations(atLength length: Double) -> Double {
        let lookedUp = (positionEmbedding?.count ?? 0) + (untiedHead == nil ? 0 : tokenEmbedding.count)
        // Scores and mixtures of attention: two products forward and four backward, of which half is masked.
        let attention = 6 * length * Double(description.layers * description.heads * description.headWidth)
        return 4 * Double(parameterCount - lookedUp) + attention
    }
}
