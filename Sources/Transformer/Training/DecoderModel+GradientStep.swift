import LinearAlgebra

extension DecoderModel {
    /// The gradient of a batch's summed loss in all parameters, as a step against it: what one step of plain gradient descent adds
    /// to the parameters at a learning rate of one.
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

    /// The norm of all parameters as one vector.
    public var parameterNorm: Double {
        var squares = 0.0
        var model = self
        model.updateParameters { _, parameter in squares += parameter.squaredNorm }
        return squares.squareRoot()
    }
}

/// A step of gradient descent in all of a model's parameters.
public struct DescentStep: Sendable {
    let gradients: ParameterGradients

    /// Its length at a learning rate of one.
    public var norm: Double { gradients.norm }
}
