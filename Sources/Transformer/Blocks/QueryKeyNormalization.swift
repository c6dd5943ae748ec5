import LinearAlgebra

/// Normalises attention's queries or keys, each head's vector by itself or all heads' as one.
public struct QueryKeyNormalization: Sendable {
    public var norm: Normalization
    let kind: DecoderDescription.QueryKeyNorm

    /// What the backward pass needs of a forward pass.
    struct Activations {
        /// vectors × their width
        var inputs = Matrix()
        var norm = Normalization.Activations()
    }

    /// Room for intermediate results: vectors × their width.
    struct Scratch {
        var outputGradients = Matrix()
        var inputGradients = Matrix()
    }

    func forward(
        _ projected: inout Matrix, _ vectors: AttentionLayout.HeadVectors, _ activations: inout Activations
    ) {
        gather(vectors, of: projected, into: &activations.inputs)
        norm.forward(activations.inputs, appendingOne: false, &activations.norm)
        scatter(activations.norm.outputs.slice, vectors, into: &projected)
    }

    /// Turns the gradients of the normalised vectors, in place, into those of the vectors before.
    func backward<Tap: GradientTap>(
        _ gradients: inout Matrix, _ vectors: AttentionLayout.HeadVectors, _ activations: Activations,
        _ scratch: inout Scratch, tap: inout Tap
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
