import LinearAlgebra

/// A block's MLP: `down(gelu(up x))`, or `down(silu(gate x) · up x)` where it has a gate.
public struct FeedForward: Sendable {
    public var gate: LinearLayer?
    public var up: LinearLayer
    public var down: LinearLayer

    /// What the backward pass needs of a forward pass.
    struct Activations {
        /// tokens × inner width, before the activation.
        var gate = Matrix()
        var up = Matrix()
        /// tokens × inner width, and a column of 1 where the last layer has a bias.
        var activated = Matrix()
    }

    /// Room for intermediate results, shared by all blocks; each is tokens × inner width.
    struct Scratch {
        var activatedGradients = Matrix()
        var gateGradients = Matrix()
        var upGradients = Matrix()
    }

    /// Adds the MLP's output to the residual stream.
    func forward(_ normalized: Matrix, _ activations: inout Activations, addingTo residual: inout Matrix) {
        activations.up.formProduct(normalized.slice, up.weight.transposed)
        if let gate {
            activations.gate.formProduct(normalized.slice, gate.weight.transposed)
            activations.activated.formSiluGate(
                gate: activations.gate, up: activations.up, columns: down.weight.columns)
        } else {
            activations.activated.formGeluTanh(of: activations.up, columns: down.weight.columns)
        }
        if down.hasBias { activations.activated.fillColumn(down.inputWidth, with: 1) }
        residual.addProduct(activations.activated.slice, down.weight.transposed)
    }

    /// Becomes the gradients of the normalised inputs, given those of the residual stream behind it.
    ///
    /// - Parameter needsInputGradients: False in the lowest tracked block: nothing below asks for them.
    func backward<Tap: GradientTap>(
        _ residualGradients: Matrix, normalized: Matrix, batch: TokenBatch, _ activations: Activations,
        _ scratch: inout Scratch, into normalizedGradients: inout Matrix, needsInputGradients: Bool,
        tracked: TrackedLayers, tap: inout Tap
    ) {
        tracked.offer(
            down, inputs: activations.activated.slice, outputGradients: residualGradients.slice, batch, to: &tap)
        scratch.activatedGradients.resize(rows: normalized.rows, columns: down.inputWidth)
        down.backward(residualGradients.slice, into: &scratch.activatedGradients, adding: false)
        if gate != nil {
            scratch.gateGradients.formSiluGateGradient(
                upGradients: &scratch.upGradients, outputGradients: scratch.activatedGradients,
                gate: activations.gate, up: activations.up)
        } else {
            scratch.upGradients.formGeluTanhGradient(
                outputGradients: scratch.activatedGradients, inputs: activations.up)
        }
        tracked.offer(up, inputs: normalized.slice, outputGradients: scratch.upGradients.slice, batch, to: &tap)
        if let gate {
            tracked.offer(gate, inputs: normalized.slice, outputGradients: scratch.gateGradients.slice, batch, to: &tap)
        }
        guard needsInputGradients else { return }
        normalizedGradients.resize(rows: normalized.rows, columns: up.inputWidth)
        up.backward(scratch.upGradients.slice, into: &normalizedGradients, adding: false)
        gate?.backward(scratch.gateGradients.slice, into: &normalizedGradients, adding: true)
    }
}
