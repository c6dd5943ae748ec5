import LinearAlgebra

extension DecoderModel {
    /// A decoder with random weights: normal values with a standard deviation of 0.02, divided by the square root of their number for
    /// layers that write to the residual stream (Radford et al. 2019); gains are 1 and biases 0.
    ///
    /// - Throws: ``CheckpointError/unsupportedArchitecture(found:supported:)``
    public init(initializing description: DecoderDescription, seed: UInt64) throws {
        var source = InitialParameters(description: description, generator: SplitMix64(seed: seed))
        try self.init(description, names: try ModelFamily.named(description.architecture).names, from: &source)
    }
}

private struct InitialParameters: ParameterSource {
    let description: DecoderDescription
    var generator: SplitMix64

    private mutating func normal(_ rows: Int, _ columns: Int, deviation: Float = 0.02) -> Matrix {
        var matrix = Matrix(rows: rows, columns: columns)
        matrix.withMutableSpan { span in
            for index in span.indices { span[index] = deviation * generator.nextNormal() }
        }
        return matrix
    }

    mutating func embedding(_ name: String, rows: Int, width: Int) -> Matrix { normal(rows, width) }

    mutating func linear(
        _ name: String, inputs: Int, outputs: Int, hasBias: Bool, writesResidual: Bool
    ) -> LinearLayer {
        let deviation = writesResidual ? 0.02 / Float(2 * description.layers).squareRoot() : 0.02
        var weight = normal(outputs, inputs + (hasBias ? 1 : 0), deviation: deviation)
        if hasBias { weight.fillColumn(inputs, with: 0) }
        return LinearLayer(name: name, weight: weight, hasBias: hasBias)
    }

    func normalization(_ name: String, width: Int) -> Normalization {
        Normalization(
            name: name, gain: Matrix(rows: 1, columns: width, elements: [Float](repeating: 1, count: width)),
            bias: description.normalization.hasBias ? Matrix(rows: 1, columns: width) : nil,
            kind: description.normalization, epsilon: description.normalizationEpsilon,
            gainOffset: description.gainOffset)
    }

    mutating func untiedHead(tokenEmbedding: Matrix) -> Matrix? {
        description.isHeadTied ? nil : normal(description.vocabulary, description.width)
    }

    func headBias() -> Matrix { Matrix(rows: 1, columns: description.vocabulary) }
}
