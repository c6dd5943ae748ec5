import LinearAlgebra

extension FeedForward {
    /// Room for the tangents of one block's MLP; each is tokens × inner width.
    struct Tangents {
        var gate = Matrix()
        var up = Matrix()
        var activated = Matrix()
        var product = Matrix()
        /// What the last layer reads: not a tangent.
        var inputs = Matrix()
    }

    /// Adds the tangents of the MLP's output.
    func addTangents(
        along direction: TangentDirection, normalized: Matrix, normalizedTangents: Matrix?, _ activations: Activations,
        _ tangents: inout Tangents, to outputs: inout Matrix
    ) {
        tangents.up.resize(rows: normalized.rows, columns: up.outputWidth, filledWith: 0)
        up.addTangents(
            along: direction, inputs: normalized, inputTangents: normalizedTangents, to: &tangents.up)
        if let gate {
            tangents.gate.resize(rows: normalized.rows, columns: gate.outputWidth, filledWith: 0)
            gate.addTangents(
                along: direction, inputs: normalized, inputTangents: normalizedTangents, to: &tangents.gate)
        }
        activate(activations, &tangents)
        activate(activations, into: &tangents.inputs)
        down.addTangents(
            along: direction, inputs: tangents.inputs, inputTangents: tangents.activated, to: &outputs)
    }

    /// The activation works entry by entry. With a gate, `d(φ(g) u) = φ'(g) u dg + φ(g) du`: each summand is one of the two
    /// gradients that the backward pass gives for its output gradients, here `dg` and `du`.
    private func activate(_ activations: Activations, _ tangents: inout Tangents) {
        switch kind {
        case .geluTanh:
            tangents.activated.formGeluTanhGradient(outputGradients: tangents.up, inputs: activations.up)
        case .geluErf:
            tangents.activated.formGeluErfGradient(outputGradients: tangents.up, inputs: activations.up)
        case .gatedSilu:
            tangents.activated.formSiluGateGradient(
                upGradients: &tangents.product, outputGradients: tangents.up, gate: activations.gate,
                up: activations.up)
            tangents.activated.formSiluGateGradient(
                upGradients: &tangents.up, outputGradients: tangents.gate, gate: activations.gate, up: activations.up)
            tangents.activated.add(tangents.product)
        case .gatedGeluTanh:
            tangents.activated.formGeluTanhGateGradient(
                upGradients: &tangents.product, outputGradients: tangents.up, gate: activations.gate,
                up: activations.up)
            tangents.activated.formGeluTanhGateGradient(
                upGradients: &tangents.up, outputGradients: tangents.gate, gate: activations.gate, up: activations.up)
            tangents.activated.add(tangents.product)
        }
    }
}
