import LinearAlgebra
import Sequences
import Transformer

/// Scores the tokens of training sequences by how much they become likelier if the model moves towards a query (Grosse et al. 2023,
/// appendix B).
///
/// For a step along `P = (G + λI)⁻¹ grad f`, the score of a token is the derivative of its log-probability,
/// `∂/∂ε log p(z_t | z_<t; θ + ε P)`. The sum over a sequence is `grad fᵀ (G + λI)⁻¹ grad log p(z)`, its influence. The paper takes the
/// difference of two forward passes. Here the derivative is taken by forward-mode differentiation, with a forward and a tangent pass, and
/// thus has no step size and no error from one.
struct OutputTokenScores: Sendable {
    let decoder: DecoderModel
    let tracked: TrackedLayers
    /// `P`, with the sign of the loss's gradient, as in ``QueryGradient``.
    let direction: ParameterVector

    /// The most logits of one pass.
    private static let logitLimit = 1 << 23

    struct Buffers: Sendable {
        fileprivate var workspace = DecoderWorkspace()
        fileprivate var tangents = TangentWorkspace()
    }

    /// The score of each token of a sequence. The first token's score is zero, as nothing predicts it, and so are those of tokens
    /// without loss.
    ///
    /// Positions are taken in blocks whose logits fit in memory, with one pass per block.
    ///
    /// - Parameter step: Called before each pass; what it throws ends the work.
    func scores(of sequence: TrainingSequence, in buffers: inout Buffers, step: () throws -> Void = {}) throws
        -> [Double]
    {
        var batch = TokenBatch()
        batch.append(sequence)
        let block = max(1, Self.logitLimit / decoder.description.vocabulary)
        var scores = [Double](repeating: 0, count: sequence.count)
        let predicting = batch.lossPositions
        for start in stride(from: 0, to: predicting.count, by: block) {
            try step()
            let positions = Array(predicting[start..<min(start + block, predicting.count)])
            var table = ScoreTable(rows: positions.count, columns: 1)
            var gradients = decoder.logits(of: batch, at: positions, in: &buffers.workspace)
            var labels = positions.map { sequence.tokens[$0 + 1] }
            var losses = [Float](repeating: 0, count: positions.count)
            gradients.applySoftmaxCrossEntropy(labels: &labels, uniforms: nil, losses: &losses)
            let changes = decoder.logitTangents(
                of: batch, at: positions, along: direction, tracked: tracked, in: &buffers.workspace, &buffers.tangents)
            // Both factors have the sign of the loss, so that the signs cancel.
            table.addRowDots(gradients.slice, changes.slice, toColumn: 0)
            for (row, position) in positions.enumerated() { scores[position + 1] = table[row, 0] }
        }
        return scores
    }
}

extension ParameterVector {
    /// A query's preconditioned gradient, multiplied out.
    init(_ query: PreconditionedQuery) {
        self.init(layers: query.layers.map(\.whole))
    }
}
