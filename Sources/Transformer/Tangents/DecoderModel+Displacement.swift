import LinearAlgebra

extension DecoderModel {
    /// The same model with its tracked parameters moved by `scale · direction`; all others are shared with it, and not copied.
    ///
    /// For what a change of the parameters does to the model's outputs, as in appendix B of Grosse et al. 2023, and for
    /// optimisers of the tracked parameters alone. In Float32: products of a model in half precision are not moved.
    ///
    /// - Parameter direction: Of the shapes of `tracked`, the last column of a layer with a bias being the bias.
    public func displaced(along direction: ParameterVector, tracked: TrackedLayers, by scale: Double) -> DecoderModel {
        var model = self
        model.displace(along: direction, tracked: tracked, by: scale)
        return model
    }

    /// Moves the tracked parameters by `scale · direction`, in the memory that they have.
    public mutating func displace(along direction: ParameterVector, tracked: TrackedLayers, by scale: Double) {
        updateParameters { name, parameter in
            guard let layer = tracked[name] else { return }
            parameter.add(direction.layers[layer.index], scaledBy: Float(scale))
        }
    }
}
