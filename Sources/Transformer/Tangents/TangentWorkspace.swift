import LinearAlgebra

/// The matrices of one worker's tangent passes, reused from batch to batch. A tangent is the derivative of a value along a
/// direction of the tracked parameters.
public struct TangentWorkspace: Sendable {
    /// tokens × width: of the residual stream, as far as the pass has come.
    var residual = Matrix()
    /// tokens × width: of what attention and MLP read, and of what they give.
    var attentionInputs = Matrix()
    var feedForwardInputs = Matrix()
    var branch = Matrix()
    var normalizedBranch = Matrix()
    var hidden = Matrix()
    var attention = Attention.Tangents()
    var feedForward = FeedForward.Tangents()
    var loss = TokenLoss.Tangents()

    public init() {}
}

/// A direction of the tracked parameters, by layer.
struct TangentDirection {
    let vector: ParameterVector
    let tracked: TrackedLayers

    /// `dW` of a layer; nil where it is not tracked, and does not change.
    subscript(layer: LinearLayer) -> Matrix? { tracked[layer.name].map { vector.layers[$0.index] } }
}
