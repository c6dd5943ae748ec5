import LinearAlgebra

extension LinearLayer {
    /// Adds the tangents of the outputs, `dy = dW x + W dx`, to the columns from `column` on.
    ///
    /// - Parameters:
    ///   - inputs: `x`: tokens × `weight.columns`; the last column is 1 if there is a bias.
    ///   - inputTangents: `dx`: tokens × the width without that 1, which is constant; nil if `x` is constant.
    func addTangents(
        along direction: TangentDirection, inputs: Matrix, inputTangents: Matrix?, to outputs: inout Matrix,
        column: Int = 0
    ) {
        if let change = direction[self] {
            outputs.setBlock(
                row: 0, column: column, toProduct: inputs.slice, change.transposed, adding: true)
        }
        if let inputTangents {
            outputs.setBlock(
                row: 0, column: column, toProduct: inputTangents.slice, weight[columns: 0..<inputWidth].transposed,
                adding: true)
        }
    }
}

extension Normalization {
    /// Computes the tangents of the norm's outputs, without the appended 1.
    ///
    /// The norm's Jacobian is `diag(gain) S` with a symmetric S, and its backward pass multiplies by `S diag(gain)`. With a gain of 1,
    /// the backward pass multiplies by S.
    func formTangents(
        of inputTangents: Matrix, inputs: Matrix, _ activations: Activations, into outputs: inout Matrix
    ) {
        let ones = Matrix(
            rows: 1, columns: inputs.columns, elements: [Float](repeating: 1, count: inputs.columns))
        outputs.resize(rows: inputs.rows, columns: inputs.columns, filledWith: 0)
        outputs.addNormGradient(
            outputGradients: inputTangents, inputs: inputs, gain: ones, statistics: activations.statistics,
            isCentred: kind != .rootMeanSquare)
        outputs.scaleColumns(by: gain)
    }
}

extension Normalization? {
    /// The tangents of the inputs of a part of a block.
    func formTangents(
        of residualTangents: Matrix, inputs: Matrix, _ activations: Normalization.Activations,
        into outputs: inout Matrix
    ) {
        if let self {
            self.formTangents(of: residualTangents, inputs: inputs, activations, into: &outputs)
        } else {
            outputs.copyValues(of: residualTangents)
        }
    }
}

extension QueryKeyNormalization {
    /// Intermediate results: vectors × their width.
    struct Tangents {
        var inputs = Matrix()
        var outputs = Matrix()
    }

    /// Turns the tangents of the vectors into those of the normalised vectors, in place.
    func applyTangents(
        to projected: inout Matrix, _ vectors: AttentionLayout.HeadVectors, activations: Activations,
        tangents: inout Tangents
    ) {
        gather(vectors, of: projected, into: &tangents.inputs)
        norm.formTangents(
            of: tangents.inputs, inputs: activations.inputs, activations.norm, into: &tangents.outputs)
        scatter(tangents.outputs.slice, vectors, into: &projected)
    }
}

extension FeedForward {
    /// The tangents of one block's MLP; each is tokens × inner width.
    struct Tangents {
        var gate = Matrix()
        var up = Matrix()
        var activated = Matrix()
        var product = Matrix()
        /// The inputs of the last layer, which are not tangents.
        var inputs = Matrix()
    }

    /// Adds the tangents of the MLP's outputs.
    func addTangents(
        along direction: TangentDirection, normalized: Matrix, normalizedTangents: Matrix?, activations: Activations,
        tangents: inout Tangents, to outputs: inout Matrix
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

    /// The activation acts on each entry separately. With a gate, `d(φ(g) u) = φ'(g) u dg + φ(g) du`: each summand is one of the two
    /// gradients that the backward pass computes, with `dg` or `du` as its output gradients.
    private func activate(_ activations: Activations, _ tangents: inout Tangents) {
        guard gate != nil else {
            return formActivationGradients(
                of: tangents.up, activations, gate: &tangents.gate, up: &tangents.activated)
        }
        formActivationGradients(of: tangents.up, activations, gate: &tangents.activated, up: &tangents.product)
        formActivationGradients(of: tangents.gate, activations, gate: &tangents.activated, up: &tangents.up)
        tangents.activated.add(tangents.product)
    }
}
