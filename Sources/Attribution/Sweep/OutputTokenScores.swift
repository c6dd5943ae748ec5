import LinearAlgebra
import Transformer

/// By how much the tokens of training sequences become likelier if the model moves towards a query (Grosse et al. 2023, appendix B).
///
/// For a step along `P = (G + λI)⁻¹ grad f`, the score of a token is the derivative of its log-probability, `∂/∂ε log p(z_t | z_<t; θ + ε P)`.
/// Summed over a sequence that is `grad fᵀ (G + λI)⁻¹ grad log p(z)`, its influence. The derivative is taken by forward differentiation, a
/// forward and a tangent pass, and so has no step size and no error of one, where the paper has the difference of two forward passes.
struct OutputTokenScores: Sendable {
    let decoder: DecoderModel
    let tracked: TrackedLayers
    /// `P`, with the sign of the loss's gradient as ``QueryGradient`` has it.
    let direction: ParameterVector

    /// The most values that the logits of one pass may be.
    private static let logitLimit = 1 << 23

    /// What a worker keeps from sequence to sequence.
    struct Room: Sendable {
        fileprivate var workspace = DecoderWorkspace()
        fileprivate var tangents = TangentWorkspace()
    }

    /// The score of each token of a sequence, the first of which nothing predicts: it has none.
    ///
    /// Positions are taken in blocks, so that their logits fit in memory, with a pass for each.
    ///
    /// - Parameter step: Called before each pass; what it throws ends the work.
    func scores(of sequence: [Int32], in room: inout Room, step: () throws -> Void = {}) throws -> [Double] {
        var batch = TokenBatch()
        batch.append(sequence)
        let block = max(1, Self.logitLimit / decoder.description.vocabulary)
        var scores = [Double](repeating: 0, count: sequence.count)
        for start in stride(from: 0, to: sequence.count - 1, by: block) {
            try step()
            let positions = Array(start..<min(start + block, sequence.count - 1))
            var table = ScoreTable(rows: positions.count, columns: 1)
            var gradients = decoder.logits(of: batch, at: positions, in: &room.workspace)
            var labels = positions.map { sequence[$0 + 1] }
            var losses = [Float](repeating: 0, count: positions.count)
            gradients.applySoftmaxCrossEntropy(labels: &labels, uniforms: nil, losses: &losses)
            let changes = decoder.logitTangents(
                of: batch, at: positions, along: direction, tracked: tracked, in: &room.workspace, &room.tangents)
            // Both signs are the loss's: they cancel.
            table.addRowDots(gradients.slice, changes.slice, toColumn: 0)
            for (row, position) in positions.enumerated() { scores[position + 1] = table[row, 0] }
        }
        return scores
    }
}

extension ParameterVector {
    /// A query's preconditioned gradient, written out.
    init(_ query: PreconditionedQuery) {
        self.init(layers: query.layers.map(\.whole))
    }
}
