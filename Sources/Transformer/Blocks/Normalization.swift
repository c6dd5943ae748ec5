import LinearAlgebra

/// A layer norm or root-mean-square norm.
public struct Normalization: Sendable {
    /// The module's name in the checkpoint, without ".weight".
    public let name: String
    /// 1 × width; ones where the norm has no parameters.
    public var gain: Matrix
    /// 1 × width
    public var bias: Matrix?
    let kind: DecoderDescription.Normalization
    let epsilon: Float
    /// What was added to the stored gain.
    var gainOffset: Float = 0

    /// What the backward pass needs of a forward pass.
    struct Activations {
        /// tokens × width, and a column of 1 where the layers that read it have a bias.
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
