import Curvature
import Transformer

/// What a model takes in memory, in bytes: an arithmetic of its shapes, and of what one worker's workspace was seen to take.
public struct MemoryEstimate: Sendable, Encodable {
    /// Tokens of a micro-batch.
    public static let batchTokens = 1_024

    public let weights: Int
    public let factors: Int
    public let workers: Int
    /// The activations of a micro-batch and room for its gradients, one worker's; nil where nothing was measured.
    public let workspace: Int?
    /// The gradient of a query that is scored in full.
    public let fullQuery: Int
    /// While factors are fitted: sums of covariances, one worker's, in Float64, with the products that are added to them.
    public let covarianceSums: Int

    /// Weights, factors, every worker's workspace and a query in full: what a server holds at its peak.
    public var serving: Int? { workspace.map { weights + factors + workers * $0 + fullQuery } }

    /// Weights, every worker's sums and workspace, and the eigenvectors that are found of them: a fit's peak.
    public var fitting: Int? {
        workspace.map { weights + workers * (covarianceSums + $0) + covarianceSums / 3 }
    }

    enum CodingKeys: String, CodingKey {
        case weights, factors, workers, workspace, serving, fitting
        case fullQuery = "full_query"
        case covarianceSums = "covariance_sums"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(weights, forKey: .weights)
        try container.encode(factors, forKey: .factors)
        try container.encode(workers, forKey: .workers)
        try container.encode(workspace, forKey: .workspace)
        try container.encode(fullQuery, forKey: .fullQuery)
        try container.encode(covarianceSums, forKey: .covarianceSums)
        try container.encode(serving, forKey: .serving)
        try container.encode(fitting, forKey: .fitting)
    }

    init(of decoder: DecoderModel, tracked: TrackedLayers, workers: Int, measurement: MachineMeasurement?) {
        let float = MemoryLayout<Float>.stride
        weights = decoder.parameterCount * float
        factors = tracked.layers.reduce(0) { $0 + $1.factorBytes }
        self.workers = workers
        workspace = measurement.map {
            $0.workspaceBytesPerToken * Self.batchTokens + $0.workspaceBytes
        }
        fullQuery = tracked.layers.reduce(0) { $0 + $1.parameters } * float
        covarianceSums = tracked.layers.reduce(0) { sum, layer in
            let activations = layer.ownsInputs ? layer.inputs * layer.inputs : 0
            return sum + (activations + layer.outputs * layer.outputs) * (MemoryLayout<Double>.stride + float)
        }
    }
}
