import LinearAlgebra

/// A vector in the space of the tracked parameters: one matrix per tracked layer, of its weight's shape.
///
/// It represents gradients, preconditioned gradients and directions of change. Inner products are summed in Float64.
public struct ParameterVector: Sendable, Equatable {
    /// In the order of ``TrackedLayers/layers``; each out × in; the last column belongs to the bias, if there is one.
    public var layers: [Matrix]

    public init(layers: [Matrix]) {
        self.layers = layers
    }

    /// The zero vector.
    public init(zeroOf tracked: TrackedLayers) {
        layers = tracked.layers.map { Matrix(rows: $0.outputs, columns: $0.inputs) }
    }

    /// Independent standard normal values.
    public init(normalOf tracked: TrackedLayers, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        self.init(zeroOf: tracked)
        for layer in layers.indices {
            layers[layer].withMutableSpan { values in
                for index in values.indices { values[index] = generator.nextNormal() }
            }
        }
    }

    /// The number of parameters.
    public var count: Int { layers.reduce(0) { $0 + $1.count } }

    public func dot(_ other: ParameterVector) -> Double {
        zip(layers, other.layers).reduce(0) { $0 + $1.0.dot($1.1) }
    }

    public var squaredNorm: Double { layers.reduce(0) { $0 + $1.squaredNorm } }
    public var norm: Double { squaredNorm.squareRoot() }
    public var isFinite: Bool { layers.allSatisfy(\.isFinite) }

    /// Adds `scale · other`.
    public mutating func add(_ other: ParameterVector, scaledBy scale: Double = 1) {
        for layer in layers.indices { layers[layer].add(other.layers[layer], scaledBy: Float(scale)) }
    }

    /// Adds `scales[l] · other` in each layer l.
    public mutating func add(_ other: ParameterVector, scaledBy scales: [Double]) {
        for layer in layers.indices { layers[layer].add(other.layers[layer], scaledBy: Float(scales[layer])) }
    }

    public mutating func scale(by factor: Double) {
        for layer in layers.indices { layers[layer].scale(by: Float(factor)) }
    }

    /// Sets every value to zero, in place.
    public mutating func reset() {
        for layer in layers.indices {
            layers[layer].resize(rows: layers[layer].rows, columns: layers[layer].columns, filledWith: 0)
        }
    }
}

/// Sums the gradients of all sequences: `Dᵀ A` of each tracked layer.
public struct GradientSumTap: GradientTap, Sendable {
    public var sum: ParameterVector

    public init(_ tracked: TrackedLayers) {
        sum = ParameterVector(zeroOf: tracked)
    }

    public mutating func record(_ pass: LayerPass) {
        sum.layers[pass.layer.index].addProduct(pass.outputGradients.transposed, pass.inputs)
    }
}

extension DecoderModel {
    /// The same model with its tracked parameters moved by `scale · direction`; both models share all other parameters.
    ///
    /// Use it to measure the effect of a change of parameters on the model's outputs, as in appendix B of Grosse et al. 2023, and in
    /// optimisers of the tracked parameters only. Only the weights in Float32 move: their half-precision copies do not change.
    ///
    /// - Parameter direction: Has the shapes of `tracked`; the last column of a layer with a bias is the bias.
    public func displaced(along direction: ParameterVector, tracked: TrackedLayers, by scale: Double) -> DecoderModel {
        var model = self
        model.displace(along: direction, tracked: tracked, by: scale)
        return model
    }

    /// Moves the tracked parameters by `scale · direction`, in place.
    public mutating func displace(along direction: ParameterVector, tracked: TrackedLayers, by scale: Double) {
        updateParameters { name, parameter in
            guard let layer = tracked[name] else { return }
            parameter.add(direction.layers[layer.index], scaledBy: Float(scale))
        }
        displaceAdapters(along: direction, tracked: tracked, by: scale)
    }
}

extension DecoderModel {
    /// Moves the matrices of tracked adapters by `scale · direction`, and the weights that include them accordingly.
    mutating func displaceAdapters(along direction: ParameterVector, tracked: TrackedLayers, by scale: Double) {
        guard tracked.selection.contains(.adapter) else { return }
        updateLinearLayers { layer in
            guard var adapter = layer.adapter, let down = tracked[adapter.downName], let up = tracked[adapter.upName]
            else { return }
            let before = adapter.product(columns: layer.weight.columns)
            adapter.down.add(direction.layers[down.index], scaledBy: Float(scale))
            adapter.up.add(direction.layers[up.index], scaledBy: Float(scale))
            layer.weight.add(adapter.product(columns: layer.weight.columns))
            layer.weight.add(before, scaledBy: -1)
            layer.adapter = adapter
        }
    }
}
