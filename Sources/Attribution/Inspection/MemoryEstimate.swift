import Curvature
import Transformer

/// What a model takes in memory, in bytes: an arithmetic of its shapes, and of what one worker's workspace was seen to take.
public struct MemoryEstimate: Sendable, Encodable {
    public let weights: Int
    public let factors: Int
    public let workers: Int
    /// Tokens of a sweep's micro-batch.
    public let batchTokens: Int
    /// The activations of a micro-batch and room for its gradients, one worker's; nil where nothing was measured.
    public let workspace: Int?
    /// The same of a fit, whose micro-batches are larger.
    private let fitWorkspace: Int?
    /// The gradient of a query that is scored in full.
    public let fullQuery: Int
    /// The keys and values of a completion that fills the context; one that runs takes a workspace besides.
    public let completion: Int
    /// While covariances are summed: one worker's sums, the triangles of symmetric matrices in Float64.
    public let covarianceSums: Int
    /// While eigenvalues are: the eigenvectors of all layers.
    public let eigenvectors: Int
    /// And one worker's sums of squares, in Float64.
    public let squareSums: Int

    /// Weights, factors, every worker's workspace and a query in full: what a server holds at its peak.
    public var serving: Int? { workspace.map { weights + factors + workers * $0 + fullQuery } }

    /// Weights and the largest of a fit's stages: every worker's sums of covariances and workspace; all workers' sums together and
    /// the eigenvectors that come of them; or the eigenvectors with every worker's sums of squares and workspace.
    public var fitting: Int? {
        fitWorkspace.map { workspace in
            let covariances = workers * (covarianceSums + workspace)
            let decompositions = covarianceSums + eigenvectors
            let eigenvalues = eigenvectors + workers * (squareSums + workspace)
            return weights + max(covariances, decompositions, eigenvalues)
        }
    }

    enum CodingKeys: String, CodingKey {
        case weights, factors, workers, workspace, completion, serving, fitting
        case fullQuery = "full_query"
        case covarianceSums = "covariance_sums"
        case squareSums = "square_sums"
        case eigenvectors
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(weights, forKey: .weights)
        try container.encode(factors, forKey: .factors)
        try container.encode(workers, forKey: .workers)
        try container.encode(workspace, forKey: .workspace)
        try container.encode(fullQuery, forKey: .fullQuery)
        try container.encode(completion, forKey: .completion)
        try container.encode(covarianceSums, forKey: .covarianceSums)
        try container.encode(squareSums, forKey: .squareSums)
        try container.encode(eigenvectors, forKey: .eigenvectors)
        try container.encode(serving, forKey: .serving)
        try container.encode(fitting, forKey: .fitting)
    }

    /// - Parameter length: Of sequences: one that is longer than a micro-batch is one by itself.
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
