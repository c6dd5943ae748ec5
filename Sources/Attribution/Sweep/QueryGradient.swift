import LinearAlgebra
import Transformer

/// The gradient of a query's measurement `f = log p(completion | prompt)`, as thin factors.
///
/// For each tracked layer the gradient is `G = Dᵀ A`, of rank no more than the query has tokens; `G` itself is not kept. The
/// sign is that of the loss, as in the gradients of training sequences, so that the two cancel in an influence.
public struct QueryGradient: Sendable {
    /// `A` and `D` of each tracked layer: tokens × in and tokens × out.
    public let layers: [Factors]
    /// Log-probability of each completion token, in nats.
    public let logProbabilities: [Double]
    /// The gradient times the inverse curvature, where an iteration has found that; nil where it is found layer by layer when it is
    /// needed.
    var solution: ParameterVector?

    public struct Factors: Sendable {
        public let inputs: Matrix
        public let outputGradients: Matrix

        /// `G = Dᵀ A`, out × in.
        var whole: Matrix {
            var gradient = Matrix()
            gradient.formProduct(outputGradients.transposed, inputs.slice)
            return gradient
        }
    }

    /// The gradient, written out.
    var whole: ParameterVector { ParameterVector(layers: layers.map(\.whole)) }

    /// Runs a query forward and backward.
    ///
    /// - Parameters:
    ///   - tokens: Prompt and completion.
    ///   - completionStart: The completion's first token, at least 1.
    public init(
        tokens: [Int32], completionStart: Int, decoder: DecoderModel, tracked: TrackedLayers,
        workspace: inout DecoderWorkspace
    ) {
        var batch = TokenBatch()
        batch.append(tokens, labels: .nextTokensFrom(completionStart))
        var tap = QueryGradientTap(layers: [Factors?](repeating: nil, count: tracked.layers.count))
        let losses = decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        layers = tap.layers.compactMap { $0 }
        logProbabilities = losses.losses[(completionStart - 1)..<(tokens.count - 1)].map { -Double($0) }
    }
}

/// Keeps each layer's part of a query's backward pass.
private struct QueryGradientTap: GradientTap {
    var layers: [QueryGradient.Factors?]

    mutating func record(_ pass: LayerPass) {
        layers[pass.layer.index] = QueryGradient.Factors(
            inputs: Matrix(pass.inputs), outputGradients: Matrix(pass.outputGradients))
    }
}
