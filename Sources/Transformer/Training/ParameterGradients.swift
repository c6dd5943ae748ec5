import LinearAlgebra

/// The tap of training: the gradient of the summed loss with respect to every parameter.
struct ParameterGradients: GradientTap, Sendable {
    /// Gradients by parameter name, each of its parameter's shape.
    private(set) var gradients: [String: Matrix] = [:]
    private let isHeadTied: Bool

    /// Zero gradients for every parameter.
    init(of decoder: DecoderModel) {
        isHeadTied = decoder.untiedHead == nil
        var decoder = decoder
        var zeros: [String: Matrix] = [:]
        decoder.updateParameters { name, parameter in
            zeros[name] = Matrix(rows: parameter.rows, columns: parameter.columns)
        }
        gradients = zeros
    }

    var needsEveryParameter: Bool { true }

    mutating func record(_ pass: LayerPass) {
        gradients[pass.layer.name]?.addProduct(pass.outputGradients.transposed, pass.inputs)
    }

    mutating func record(_ pass: UntrackedPass) {
        gradients[pass.name]?.addProduct(pass.outputGradients.transposed, pass.inputs.slice)
    }

    mutating func record(_ pass: NormalizationPass) {
        var bias = gradients.removeValue(forKey: pass.name + ".bias")
        gradients[pass.name + ".gain"]?.addGainGradient(
            bias: &bias, outputGradients: pass.outputGradients, inputs: pass.inputs, statistics: pass.statistics)
        gradients[pass.name + ".bias"] = bias
    }

    mutating func record(_ pass: EmbeddingPass) {
        for (row, token) in pass.batch.tokens.enumerated() {
            gradients[ParameterName.tokenEmbedding]?.addRow(row, of: pass.outputGradients, to: Int(token))
        }
        guard gradients[ParameterName.positionEmbedding] != nil else { return }
        for (row, position) in pass.batch.positions.enumerated() {
            gradients[ParameterName.positionEmbedding]?.addRow(row, of: pass.outputGradients, to: Int(position))
        }
    }

    mutating func recordHead(inputs: Matrix, outputGradients: Matrix) {
        gradients[isHeadTied ? ParameterName.tokenEmbedding : ParameterName.head]?
            .addProduct(outputGradients.transposed, inputs.slice)
        guard gradients[ParameterName.headBias] != nil else { return }
        for row in 0..<outputGradients.rows {
            gradients[ParameterName.headBias]?.addRow(row, of: outputGradients, to: 0)
        }
    }

    mutating func merge(_ other: ParameterGradients) {
        for (name, gradient) in other.gradients { gradients[name]?.add(gradient) }
    }

    mutating func reset() {
        for name in gradients.keys {
            guard var gradient = gradients.removeValue(forKey: name) else { continue }
            gradient.resize(rows: gradient.rows, columns: gradient.columns, filledWith: 0)
            gradients[name] = gradient
        }
    }

    /// The norm of all gradients as one vector.
    var norm: Double {
        // In the order of names: the order of a dictionary, and with it the rounding, changes from run to run.
        gradients.sorted { $0.key < $1.key }.reduce(0) { $0 + $1.value.squaredNorm }.squareRoot()
    }
}

extension DecoderModel {
    /// A step of plain gradient descent on a batch's summed loss in all parameters.
    public func descentStep(on batch: TokenBatch, in workspace: inout DecoderWorkspace) -> DescentStep {
        var gradients = ParameterGradients(of: self)
        run(batch, in: &workspace, tracked: TrackedLayers(of: self, .all), tap: &gradients)
        return DescentStep(gradients: gradients)
    }

    /// The same model after a step of plain gradient descent.
    public func stepped(_ step: DescentStep, learningRate: Double) -> DecoderModel {
        var model = self
        model.updateParameters { name, parameter in
            guard let gradient = step.gradients.gradients[name] else { return }
            parameter.add(gradient, scaledBy: Float(-learningRate))
        }
        return model
    }
}

/// The gradient of a summed loss with respect to all of a model's parameters.
public struct DescentStep: Sendable {
    let gradients: ParameterGradients

    /// The length of the step at a learning rate of one.
    public var norm: Double { gradients.norm }
}
