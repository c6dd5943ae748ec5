import LinearAlgebra

/// A layer norm or root-mean-square norm.
public struct Normalization: Sendable {
    /// The module's name in the checkpoint, without ".weight".
    public let name: String
    /// 1 × width; ones if the norm has no parameters.
    public var gain: Matrix
    /// 1 × width
    public var bias: Matrix?
    let kind: DecoderDescription.NormalizationKind
    let epsilon: Float
    /// The number that was added to the stored gain.
    var gainOffset: Float = 0

    /// The values of a forward pass that the backward pass needs.
    struct Activations {
        /// tokens × width, and a column of ones if the layers that read them have a bias.
        var outputs = Matrix()
        var statistics = Matrix()
    }

    func forward(_ inputs: Matrix, appendingOne: Bool, _ activations: inout Activations) {
        let columns = inputs.columns + (appendingOne ? 1 : 0)
        switch kind {
        case .layer, .layerWithoutParameters:
            activations.outputs.formLayerNorm(
                of: inputs, gain: gain, bias: bias, epsilon: epsilon, columns: columns,
                statistics: &activations.statistics)
        case .rootMeanSquare:
            activations.outputs.formRootMeanSquareNorm(
                of: inputs, gain: gain, epsilon: epsilon, columns: columns, statistics: &activations.statistics)
        }
        if appendingOne { activations.outputs.fillColumn(columns - 1, with: 1) }
    }

    /// Adds the gradient with respect to the inputs.
    func backward<Tap: GradientTap>(
        _ outputGradients: Matrix, inputs: Matrix, _ activations: Activations, addingTo inputGradients: inout Matrix,
        tap: inout Tap
    ) {
        if tap.needsEveryParameter {
            tap.record(
                NormalizationPass(
                    name: name, inputs: inputs, statistics: activations.statistics, outputGradients: outputGradients))
        }
        inputGradients.addNormGradient(
            outputGradients: outputGradients, inputs: inputs, gain: gain, statistics: activations.statistics,
            isCentred: kind != .rootMeanSquare)
    }
}

/// Normalises attention's queries or keys, each head's vector separately or all heads' vectors as one.
public struct QueryKeyNormalization: Sendable {
    public var norm: Normalization
    let kind: DecoderDescription.QueryKeyNorm

    /// The values of a forward pass that the backward pass needs.
    struct Activations {
        /// vectors × their width
        var inputs = Matrix()
        var norm = Normalization.Activations()
    }

    /// Intermediate results: vectors × their width.
    struct Scratch {
        var outputGradients = Matrix()
        var inputGradients = Matrix()
    }

    func forward(
        _ projected: inout Matrix, _ vectors: AttentionLayout.HeadVectors, activations: inout Activations
    ) {
        gather(vectors, of: projected, into: &activations.inputs)
        norm.forward(activations.inputs, appendingOne: false, &activations.norm)
        scatter(activations.norm.outputs.slice, vectors, into: &projected)
    }

    /// Turns the gradients of the normalised vectors into those of the original vectors, in place.
    func backward<Tap: GradientTap>(
        _ gradients: inout Matrix, _ vectors: AttentionLayout.HeadVectors, activations: Activations,
        scratch: inout Scratch, tap: inout Tap
    ) {
        gather(vectors, of: gradients, into: &scratch.outputGradients)
        scratch.inputGradients.resize(
            rows: scratch.outputGradients.rows, columns: scratch.outputGradients.columns, filledWith: 0)
        norm.backward(
            scratch.outputGradients, inputs: activations.inputs, activations.norm, addingTo: &scratch.inputGradients,
            tap: &tap)
        scatter(scratch.inputGradients.slice, vectors, into: &gradients)
    }

    func gather(
        _ vectors: AttentionLayout.HeadVectors, of projected: Matrix, into gathered: inout Matrix
    ) {
        let tokens = projected.rows
        gathered.resize(rows: tokens, columns: vectors.count * vectors.width)
        for head in 0..<vectors.count {
            gathered.copy(projected[columns: vectors.columns(of: head)], toRow: 0, column: head * vectors.width)
        }
        if kind == .perHead { gathered.reshape(rows: tokens * vectors.count, columns: vectors.width) }
    }

    func scatter(
        _ gathered: MatrixSlice, _ vectors: AttentionLayout.HeadVectors, into projected: inout Matrix
    ) {
        for head in 0..<vectors.count {
            switch kind {
            case .wholeWidth:
                let start = head * vectors.width
                projected.copy(
                    gathered[columns: start..<(start + vectors.width)], toRow: 0,
                    column: vectors.columns(of: head).lowerBound)
            case .perHead:
                projected.copy(
                    gathered.everyRow(from: head, step: vectors.count), toRow: 0,
                    column: vectors.columns(of: head).lowerBound)
            }
        }
    }
}
