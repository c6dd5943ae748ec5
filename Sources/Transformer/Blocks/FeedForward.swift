import LinearAlgebra

/// A block's MLP: `down(gelu(up x))`, or with a gate `down(silu(gate x) · up x)` or the same with gelu.
public struct FeedForward: Sendable {
    public var gate: LinearLayer?
    public var up: LinearLayer
    public var down: LinearLayer
    let kind: DecoderDescription.FeedForwardKind

    var layers: [LinearLayer] { [gate, up, down].compactMap { $0 } }

    /// Calls the body for every layer, which it can change.
    mutating func updateLayers(_ body: (inout LinearLayer) -> Void) {
        if var gate = gate.take() {
            body(&gate)
            self.gate = gate
        }
        body(&up)
        body(&down)
    }

    /// The values of a forward pass that the backward pass needs.
    struct Activations {
        /// tokens × inner width, before the activation.
        var gate = Matrix()
        var up = Matrix()
    }

    /// Intermediate results, shared by all blocks; each is tokens × inner width.
    struct Scratch {
        /// tokens × inner width, and a column of ones if the last layer has a bias. The backward pass computes it again, which saves
        /// keeping it for every block.
        var activated = Matrix()
        var activatedGradients = Matrix()
        var gateGradients = Matrix()
        var upGradients = Matrix()
        /// tokens × width: output gradients times the factors of the outputs.
        var scaledGradients = Matrix()
        /// tokens × 1: the gradients with respect to those factors.
        var factorGradients = ScoreTable(rows: 0, columns: 1)
        var adapter = LinearAdapter.Scratch()
    }

    /// Writes the MLP's outputs to the residual stream or adds them to it.
    func forward(
        _ normalized: Matrix, activations: inout Activations, scratch: inout Scratch, to residual: inout Matrix,
        adding: Bool
    ) {
        up.forward(normalized, to: &activations.up, adding: false)
        gate?.forward(normalized, to: &activations.gate, adding: false)
        activate(activations, into: &scratch.activated)
        down.forward(scratch.activated, to: &residual, adding: adding)
    }

    /// Computes the inputs of the last layer.
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

    /// Computes the gradients of `up` and, with a gate, of `gate` before the activation, given those after it.
    func formActivationGradients(
        of outputGradients: Matrix, _ activations: Activations, gate: inout Matrix, up: inout Matrix
    ) {
        switch kind {
        case .geluTanh: up.formGeluTanhGradient(outputGradients: outputGradients, inputs: activations.up)
        case .geluErf: up.formGeluErfGradient(outputGradients: outputGradients, inputs: activations.up)
        case .gatedSilu:
            gate.formSiluGateGradient(
                upGradients: &up, outputGradients: outputGradients, gate: activations.gate, up: activations.up)
        case .gatedGeluTanh:
            gate.formGeluTanhGateGradient(
                upGradients: &up, outputGradients: outputGradients, gate: activations.gate, up: activations.up)
        }
    }

    /// Computes the gradients of the normalised inputs, given those of the MLP's outputs.
    ///
    /// - Parameters:
    ///   - factors: A factor of each row of the outputs. The gradients with respect to them are left in the scratch memory. nil if the
    ///     outputs have no factors.
    ///   - positions: The micro-batch's position of each row, if the MLP reads only some tokens.
    ///   - needsInputGradients: False in the lowest tracked block, below which nothing needs them.
    func backward<Tap: GradientTap>(
        _ outputGradients: Matrix, scaledBy factors: [Float]? = nil, normalized: Matrix, batch: TokenBatch,
        positions: [Int]? = nil, activations: Activations, scratch: inout Scratch,
        into normalizedGradients: inout Matrix, needsInputGradients: Bool, tracked: TrackedLayers, tap: inout Tap
    ) {
        activate(activations, into: &scratch.activated)
        if let factors {
            scratch.scaledGradients.copyValues(of: outputGradients)
            scratch.scaledGradients.scaleRows(from: 0, by: factors)
        }
        tracked.offer(
            down, inputs: scratch.activated.slice,
            outputGradients: factors == nil ? outputGradients.slice : scratch.scaledGradients.slice, batch,
            positions: positions, &scratch.adapter, to: &tap)
        scratch.activatedGradients.resize(rows: normalized.rows, columns: down.inputWidth)
        down.backward(outputGradients.slice, into: &scratch.activatedGradients, adding: false)
        if let factors {
            // The gradient of a factor is d · (W h), which equals (d W) · h: the outputs need not be computed again.
            scratch.factorGradients.reset(rows: normalized.rows, columns: 1)
            scratch.factorGradients.addRowDots(
                scratch.activated[columns: 0..<down.inputWidth], scratch.activatedGradients.slice, toColumn: 0)
            scratch.activatedGradients.scaleRows(from: 0, by: factors)
        }
        formActivationGradients(
            of: scratch.activatedGradients, activations, gate: &scratch.gateGradients, up: &scratch.upGradients)
        tracked.offer(
            up, inputs: normalized.slice, outputGradients: scratch.upGradients.slice, batch, positions: positions,
            &scratch.adapter, to: &tap)
        if let gate {
            tracked.offer(
                gate, inputs: normalized.slice, outputGradients: scratch.gateGradients.slice, batch,
                positions: positions, &scratch.adapter, to: &tap)
        }
        guard needsInputGradients else { return }
        normalizedGradients.resize(rows: normalized.rows, columns: up.inputWidth)
        up.backward(scratch.upGradients.slice, into: &normalizedGradients, adding: false)
        gate?.backward(scratch.gateGradients.slice, into: &normalizedGradients, adding: true)
    }
}
