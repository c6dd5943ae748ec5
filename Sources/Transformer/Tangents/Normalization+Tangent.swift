import LinearAlgebra

extension Normalization {
    /// Becomes the tangents of the norm's outputs, without the appended 1.
    ///
    /// The norm's Jacobian is `diag(gain) S`, S symmetric, and its backward pass multiplies by `S diag(gain)`: with a gain of
    /// 1 that pass is S itself.
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
    /// The tangents of what a part of a block reads.
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
    /// Room for intermediate results: vectors × their width.
    struct Tangents {
        var inputs = Matrix()
        var outputs = Matrix()
    }

    /// Turns the tangents of the vectors before, in place, into those of the normalised ones.
    func applyTangents(
        to projected: inout Matrix, _ vectors: AttentionLayout.HeadVectors, _ activations: Activations,
        _ tangents: inout Tangents
    ) {
        gather(vectors, of: projected, into: &tangents.inputs)
        norm.formTangents(
            of: tangents.inputs, inputs: activations.inputs, activations.norm, into: &tangents.outputs)
        scatter(tangents.outputs.slice, vectors, into: &projected)
    }
}
