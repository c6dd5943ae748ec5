import Curvature
import Foundation
import Limits
import Transformer

/// The sequences that a fit and a sweep go over.
struct CorpusLoad: Sendable, Encodable {
    let sequences: Int
    let tokens: Int

    var meanLength: Double { Double(tokens) / Double(max(sequences, 1)) }

    /// How many sequences costs can be estimated for.
    static let limit = 1...1_000_000_000

    /// This many sequences of the same mean length.
    func resized(to count: Int) -> CorpusLoad {
        CorpusLoad(sequences: count, tokens: Int(saturating: (meanLength * Double(count)).rounded()))
    }
}

/// The cost of a fit of factors and of a sweep over candidates, in floating-point operations (a multiply-add is two), bytes and seconds.
///
/// A pass, forward and backward to the inputs of the lowest tracked layer, takes four operations per parameter and token. The
/// remainder is the arithmetic of ``CovarianceTap``, of the eigendecompositions (nine operations times the cube of the order) and of
/// scoring. Seconds come from a timed pass, product and decomposition, and so hold for the machine in its state at that time.
struct CostEstimate: Sendable, Encodable {
    struct Stage: Sendable, Encodable {
        let operations: Double
        /// `nil` if nothing was measured.
        let seconds: Double?
    }

    let sequences: Int
    let tokens: Int
    let covariances: Stage
    let eigendecompositions: Stage
    let eigenvalues: Stage
    /// The sum of the three.
    let fit: Stage
    let factorFileBytes: Int
    /// A sweep of one compressed query over all sequences.
    let sweep: Stage
    /// The rank to which that query is compressed.
    let sweepRank: Int

    init(
        of decoder: DecoderModel, tracked: TrackedLayers, factors: [LayerFactorShape], load: CorpusLoad,
        measurement: MachineMeasurement?, rank: Int = 32
    ) {
        let tokens = Double(load.tokens)
        let pass = tokens * decoder.passOperations(atLength: load.meanLength)
        let grams = factors.reduce(0) { $0 + $1.share * Double($1.eigenvectors) }
        let rotations = factors.reduce(0) { $0 + 2 * $1.share * Double($1.values) }
        let cubes = factors.flatMap(\.orders).reduce(0.0) { $0 + pow(Double($1), 3) }
        let scoring = tracked.layers.reduce(0.0) { sum, layer in
            sum + (layer.expert?.share ?? 1)
                * Double(2 * min(rank, layer.inputs, layer.outputs) * (layer.inputs + layer.outputs))
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
    /// The operations of a pass, forward and backward to the lowest inputs, per token of a sequence of this length.
    func passOperations(atLength length: Double) -> Double {
        let lookedUp = (positionEmbedding?.count ?? 0) + (untiedHead == nil ? 0 : tokenEmbedding.count)
        // Scores and mixtures of attention: two products forward and four backward, half of them masked.
        let attention = 6 * length * Double(description.layers * description.heads * description.headWidth)
        let unused = TrackedLayers(of: self).layers.reduce(0.0) { sum, layer in
            sum + (1 - (layer.expert?.share ?? 1)) * Double(layer.parameters)
        }
        return 4 * (Double(parameterCount - lookedUp) - unused) + attention
    }
}

/// A model's memory in bytes, computed from its shapes and from the measured size of one worker's workspace.
struct MemoryEstimate: Sendable, Encodable {
    let weights: Int
    let factors: Int
    let workers: Int
    /// The tokens of a sweep's micro-batch.
    let batchTokens: Int
    /// One worker's activations and gradients of a micro-batch; `nil` if nothing was measured.
    let workspace: Int?
    /// The same for a fit, whose micro-batches are larger.
    private let fitWorkspace: Int?
    /// The gradient of a query that is scored in full.
    let fullQuery: Int
    /// The keys and values of a completion that fills the context; a running completion also takes a workspace.
    let completion: Int
    /// One worker's sums of covariances: the triangles of symmetric matrices in Float64.
    let covarianceSums: Int
    /// The eigenvectors of all layers, which are held while eigenvalues are computed.
    let eigenvectors: Int
    /// One worker's sums of squares in Float64, which are held at the same time.
    let squareSums: Int

    /// A server's peak: weights, factors, every worker's workspace and a query in full.
    var serving: Int? { workspace.map { weights + factors + workers * $0 + fullQuery } }

    /// A fit's peak: weights and the largest of its stages. These are every worker's sums of covariances and workspace; the total of
    /// all workers' sums and the eigenvectors; and the eigenvectors with every worker's sums of squares and workspace.
    var fitting: Int? {
        fitWorkspace.map { workspace in
            let covariances = workers * (covarianceSums + workspace)
            let decompositions = covarianceSums + eigenvectors
            let eigenvalues = eigenvectors + workers * (squareSums + workspace)
            return weights + max(covariances, decompositions, eigenvalues)
        }
    }

    enum CodingKeys: CodingKey {
        case weights, factors, workers, workspace, completion, serving, fitting
        case fullQuery, covarianceSums, squareSums, eigenvectors
    }

    /// Encodes `null` for an amount that is unknown because nothing was measured.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let amounts: [(CodingKeys, Int?)] = [
            (.weights, weights), (.factors, factors), (.workers, workers), (.workspace, workspace),
            (.fullQuery, fullQuery), (.completion, completion), (.covarianceSums, covarianceSums),
            (.squareSums, squareSums), (.eigenvectors, eigenvectors), (.serving, serving), (.fitting, fitting),
        ]
        for (key, bytes) in amounts { try container.encode(bytes, forKey: key) }
    }

    /// - Parameter length: The tokens of a sequence: one that is longer than a micro-batch makes a micro-batch by itself.
    init(
        of decoder: DecoderModel, factors shapes: [LayerFactorShape], length: Int, workers: Int,
        measurement: MachineMeasurement?
    ) {
        let float = MemoryLayout<Float>.stride
        weights = decoder.parameterCount * float
        factors = shapes.reduce(0) { $0 + $1.values } * float
        self.workers = workers
        let batchTokens = max(decoder.microBatchTokens, length)
        self.batchTokens = batchTokens
        workspace = measurement.map { $0.workspaceBytesPerToken * batchTokens + $0.workspaceBytes }
        fitWorkspace = measurement.map {
            $0.workspaceBytesPerToken * max(FactorFit.batchTokens, length)
                + decoder.logitBytes(tokens: .max, samplesLabels: true)
        }
        fullQuery = shapes.reduce(0) { $0 + $1.parameters } * float
        completion = decoder.pastTokenBytes * decoder.description.contextLength
        let double = MemoryLayout<Double>.stride
        covarianceSums = shapes.flatMap(\.orders).reduce(0) { $0 + $1 * ($1 + 1) / 2 } * double
        eigenvectors = shapes.reduce(0) { $0 + $1.eigenvectors } * float
        squareSums = shapes.reduce(0) { $0 + $1.parameters } * double
    }
}
