import LinearAlgebra

/// A block's MLP: `down(gelu(up x))`, or `down(silu(gate x) · up x)` or the like where it has a gate.
public struct FeedForward: Sendable {
    public var gate: LinearLayer?
    public var up: LinearLayer
    public var down: LinearLayer
    let kind: DecoderDescription.FeedForwardKind

    /// What the backward pass needs of a forward pass.
    struct Activations {
        /// tokens × inner width, before the activation.
        var gate = Matrix()
        var up = Matrix()
    }

    /// Room for intermediate results, shared by all blocks; each is tokens × inner width.
    struct Scratch {
        /// tokens × inner width, and a column of 1 where the last layer has a bias: found again in the backward pass rather than kept for
        /// every block.
        var activated = Matrix()
        var activatedGradients = Matrix()
        var gateGradients = Matrix()
        var upGradients = Matrix()
    }

    /// Writes the MLP's output to the residual stream, or adds it there.
    func forward(
        _ normalized: Matrix, _ activations: inout Activations, _ scratch: inout Scratch, to residual: inout Matrix,
        adding: Bool
    ) {
        up.forward(normalized, to: &activations.up, adding: false)
        gate?.forward(normalized, to: &activations.gate, adding: false)
        activate(activations, into: &scratch.activated)
        down.forward(scratch.activated, to: &residual, adding: adding)
    }

    /// What the last layer reads.
    func activate(_ activations: Activations, into activated: inout Matrix) {
        let columns = down.weight.columns
        switch kind {
        case .geluTanh: activated.formGeluTanh(of: activations.up, columns: columns)
        case .geluErf: activated.formGeluErf(of: activations.up, columns: columns)
        case .gatedSilu: activated.formSiluGate(gate: activations.gate, up: activations.up, columns: columns)
        case .gatedGeluTanh: activated.formGeluTanhGate(gate: activations.gate, up: activations.up, columns: columns)
        }
        if down.hasBias { activated.fillColumn(down.inputWidth, with: 1) }
    }

    /// Becomes the gradients of the normalised inputs, given those of the MLP's output.
    ///
    /// - Parameter needsInputGradients: False in the lowest tracked block: nothing below asks for them.
    func backward<Tap: GradientTap>(
        _ outputGradients: Matrix, normalized: Matrix, batch: TokenBatch, _ activations: Activations,
        _ scratch: inout Scratch, into normalizedGradients: inout Matrix, needsInputGradients: Bool,
        tracked: TrackedLayers, tap: inout Tap
    ) {
        activate(activations, into: &scratch.activated)
        tracked.offer(
            down, inputs: scratch.activated.slice, outputGradients: outputGradients.slice, batch, to: &tap)
        scratch.activatedGradients.resize(rows: normalized.rows, columns: down.inputWidth)
        down.backward(outputGradients.slice, into: &scratch.activatedGradients, adding: false)
        switch kind {
        case .geluTanh:
            scratch.upGradients.formGeluTanhGradient(
                outputGradients: scratch.activatedGradients, inputs: activations.up)
        case .geluErf:
            scratch.upGradients.formGeluErfGradient(outputGradients: scratch.activatedGradients, inputs: activations.up)
        case .gatedSilu:
            scratch.gateGradients.formSiluGateGradient(
                upGradients: &scratch.upGradients, outputGradients: scratch.activatedGradients, gate: activations.gate,
                up: activations.up)
        case .gatedGeluTanh:
            scratch.gateGradients.formGeluTanhGateGradient(
                upGradients: &scratch.upGradients, outputGradients: scratch.activatedGradients, gate: activations.gate,
                up: activations.up)
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
