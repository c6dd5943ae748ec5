import Foundation
import LinearAlgebra

/// A block's mixture of experts (Shazeer et al. 2017): each token goes through the MLPs of the few experts that a router chooses for it,
/// `y = Σ q_e f_e(x)`, and, in some families, through an expert that all tokens share, `σ(g x) f_s(x)`.
///
/// An expert is a ``FeedForward`` that reads the rows of its own tokens, gathered into one matrix. Its linear layers are tracked like all
/// others, over these rows alone: a ``LayerPass`` has the position of each row. The factor `q_e` belongs to the output gradients, so that
/// `Dᵀ A` stays the layer's gradient. The router and the gate of the shared expert are not tracked. Gradients flow through them, while the
/// choice of the experts is fixed.
public struct MixtureOfExperts: Sendable {
    /// experts × width
    public var router: LinearLayer
    public var experts: [FeedForward]
    /// The expert that all tokens share.
    public var shared: FeedForward?
    /// 1 × width: `g`
    public var sharedGate: LinearLayer?
    /// The number of experts that a token goes to.
    let perToken: Int
    /// Whether the factors of a token's experts sum to 1.
    let renormalizes: Bool

    /// The values of a forward pass that the backward pass needs.
    struct Activations {
        var routing = ExpertRouting()
        var experts: [FeedForward.Activations] = []
        var shared = FeedForward.Activations()
        /// For each token `σ(g x)`.
        var sharedFactors: [Float] = []
    }

    /// Intermediate results, shared by all blocks.
    struct Scratch {
        /// tokens × experts
        var logits = Matrix()
        var routingGradients = Matrix()
        /// tokens × 1
        var sharedGate = Matrix()
        /// One expert's tokens × width.
        var inputs = Matrix()
        var outputs = Matrix()
        var outputGradients = Matrix()
        var inputGradients = Matrix()
    }

    /// Every MLP, that of the shared expert last.
    var feedForwards: [FeedForward] { experts + [shared].compactMap { $0 } }

    /// Writes the mixture's outputs to the residual stream or adds them to it.
    func forward(
        _ normalized: Matrix, activations: inout Activations, scratch: inout Scratch,
        feedForward: inout FeedForward.Scratch, to residual: inout Matrix, adding: Bool
    ) {
        if !adding { residual.resize(rows: normalized.rows, columns: router.inputWidth, filledWith: 0) }
        router.forward(normalized, to: &scratch.logits, adding: false)
        activations.routing.choose(perToken, of: scratch.logits, renormalizes: renormalizes)
        while activations.experts.count < experts.count { activations.experts.append(FeedForward.Activations()) }
        for (index, expert) in experts.enumerated() {
            let positions = activations.routing.positions[index]
            guard !positions.isEmpty else { continue }
            scratch.inputs.gatherRows(positions, of: normalized)
            expert.forward(
                scratch.inputs, activations: &activations.experts[index], scratch: &feedForward,
                to: &scratch.outputs, adding: false)
            scratch.outputs.scaleRows(from: 0, by: activations.routing.factors[index])
            residual.addRows(of: scratch.outputs, to: positions)
        }
        guard let shared, let sharedGate else { return }
        shared.forward(
            normalized, activations: &activations.shared, scratch: &feedForward, to: &scratch.outputs, adding: false)
        sharedGate.forward(normalized, to: &scratch.sharedGate, adding: false)
        activations.sharedFactors = (0..<normalized.rows).map { 1 / (1 + exp(-scratch.sharedGate[$0, 0])) }
        scratch.outputs.scaleRows(from: 0, by: activations.sharedFactors)
        residual.add(scratch.outputs)
    }

    /// Computes the gradients of the normalised inputs, given those of the mixture's outputs.
    ///
    /// - Parameter needsInputGradients: False in the lowest tracked block, below which nothing needs them.
    func backward<Tap: GradientTap>(
        _ outputGradients: Matrix, normalized: Matrix, batch: TokenBatch, activations: Activations,
        scratch: inout Scratch, feedForward: inout FeedForward.Scratch, into normalizedGradients: inout Matrix,
        needsInputGradients: Bool, tracked: TrackedLayers, tap: inout Tap
    ) {
        backwardShared(
            outputGradients, normalized: normalized, batch: batch, activations: activations, scratch: &scratch,
            feedForward: &feedForward, into: &normalizedGradients, needsInputGradients: needsInputGradients,
            tracked: tracked, tap: &tap)
        scratch.routingGradients.resize(rows: normalized.rows, columns: experts.count, filledWith: 0)
        for (index, expert) in experts.enumerated() {
            let positions = activations.routing.positions[index]
            guard !positions.isEmpty else { continue }
            scratch.inputs.gatherRows(positions, of: normalized)
            scratch.outputGradients.gatherRows(positions, of: outputGradients)
            expert.backward(
                scratch.outputGradients, scaledBy: activations.routing.factors[index], normalized: scratch.inputs,
                batch: batch, positions: positions, activations: activations.experts[index], scratch: &feedForward,
                into: &scratch.inputGradients, needsInputGradients: needsInputGradients, tracked: tracked, tap: &tap)
            guard needsInputGradients else { continue }
            normalizedGradients.addRows(of: scratch.inputGradients, to: positions)
            for (row, position) in positions.enumerated() {
                scratch.routingGradients[position, index] = Float(feedForward.factorGradients[row, 0])
            }
        }
        guard needsInputGradients else { return }
        scratch.routingGradients.applySoftmaxGradient(probabilities: activations.routing.probabilities, scale: 1)
        router.backwardUntracked(
            scratch.routingGradients, inputs: normalized, addingTo: &normalizedGradients, tap: &tap)
    }

    /// Computes the gradients that come through the shared expert; zeros if there is none.
    private func backwardShared<Tap: GradientTap>(
        _ outputGradients: Matrix, normalized: Matrix, batch: TokenBatch, activations: Activations,
        scratch: inout Scratch, feedForward: inout FeedForward.Scratch, into normalizedGradients: inout Matrix,
        needsInputGradients: Bool, tracked: TrackedLayers, tap: inout Tap
    ) {
        guard let shared, let sharedGate else {
            return normalizedGradients.resize(rows: normalized.rows, columns: router.inputWidth, filledWith: 0)
        }
        shared.backward(
            outputGradients, scaledBy: activations.sharedFactors, normalized: normalized, batch: batch,
            activations: activations.shared, scratch: &feedForward, into: &normalizedGradients,
            needsInputGradients: needsInputGradients, tracked: tracked, tap: &tap)
        guard needsInputGradients else { return }
        scratch.sharedGate.resize(rows: normalized.rows, columns: 1)
        for (row, factor) in activations.sharedFactors.enumerated() {
            scratch.sharedGate[row, 0] = Float(feedForward.factorGradients[row, 0]) * factor * (1 - factor)
        }
        sharedGate.backwardUntracked(
            scratch.sharedGate, inputs: normalized, addingTo: &normalizedGradients, tap: &tap)
    }
}

extension LinearLayer {
    /// Adds the gradients of the inputs of a layer that no selection tracks, such as a router.
    fileprivate func backwardUntracked<Tap: GradientTap>(
        _ outputGradients: Matrix, inputs: Matrix, addingTo inputGradients: inout Matrix, tap: inout Tap
    ) {
        if tap.needsEveryParameter {
            tap.record(UntrackedPass(name: name, inputs: inputs, outputGradients: outputGradients))
        }
        backward(outputGradients.slice, into: &inputGradients, adding: true)
    }
}
