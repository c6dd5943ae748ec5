import LinearAlgebra
import Transformer

/// The gradient of a query's measurement `f`, as thin factors. The measurement is `log p(completion | prompt)`, the part of it that some
/// tokens contribute, or the difference between two completions.
///
/// For each tracked layer the gradient is `G = Dᵀ A`, whose rank is at most the number of tokens, including those of a contrast. `G` itself
/// is not kept. The sign is that of the loss, as in the gradients of training sequences, so that the signs cancel in an influence.
public struct QueryGradient: Sendable {
    /// `A` and `D` of each tracked layer: tokens × in and tokens × out.
    public private(set) var layers: [Factors]
    /// Log-probability of each completion token, in nats.
    public let logProbabilities: [Double]
    /// The log-probability of each token of the contrast, if there is one.
    private(set) var contrastLogProbabilities: [Double]?
    /// `f`, in nats.
    var measurement: Double
    /// The values of a behaviour's parts; empty for a single completion.
    private(set) var parts: [PartValue] = []
    /// The gradient times the inverse curvature, if an iteration has found it; nil if it is found layer by layer when it is needed.
    var solution: ParameterVector?

    public struct Factors: Sendable {
        public let inputs: Matrix
        public let outputGradients: Matrix

        /// `G = Dᵀ A`, out × in.
        var whole: Matrix {
            var gradient = Matrix()
            gradient.formProduct(outputGradients.transposed, inputs.slice)
            return gradient
        }
    }

    /// Whether ``measurement`` and the log-probabilities of which it is the sum are finite.
    var hasFiniteMeasurement: Bool {
        measurement.isFinite && (logProbabilities + (contrastLogProbabilities ?? [])).allSatisfy(\.isFinite)
            && parts.allSatisfy { $0.logProbability.isFinite && ($0.contrast?.isFinite ?? true) }
    }

    var whole: ParameterVector { ParameterVector(layers: layers.map(\.whole)) }

    /// Runs a query forward and backward.
    ///
    /// - Parameters:
    ///   - tokens: Prompt and completion.
    ///   - completionStart: The position of the completion's first token, at least 1.
    ///   - measured: The positions of the completion's tokens whose log-probabilities are the measurement; nil for all.
    public init(
        tokens: [Int32], completionStart: Int, measured: [Int]? = nil, decoder: DecoderModel, tracked: TrackedLayers,
        workspace: inout DecoderWorkspace
    ) {
        var whole = TokenBatch()
        whole.append(tokens, labels: .nextTokensFrom(completionStart))
        var batch = whole
        if let measured {
            var labels = [Int32](repeating: TokenBatch.noTarget, count: tokens.count)
            for token in measured { labels[token] = tokens[token] }
            batch = TokenBatch()
            batch.append(tokens, labels: .given(labels))
        }
        var tap = QueryGradientTap(tracked)
        var losses = decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        layers = tap.layers
        measurement = -losses.sum(over: 0..<tokens.count)
        if measured != nil { losses = decoder.losses(of: whole, in: &workspace) }
        logProbabilities = losses.losses[(completionStart - 1)..<(tokens.count - 1)].map { -Double($0) }
    }

    /// The gradient of the difference between this measurement and another's.
    func held(against other: QueryGradient) -> QueryGradient {
        var difference = self
        // DᵀA - EᵀB is the product of [D; -E] with [A; B].
        difference.layers = zip(layers, other.layers).map { own, others in
            var negated = others.outputGradients
            negated.scale(by: -1)
            return Factors(
                inputs: Matrix(own.inputs, above: others.inputs),
                outputGradients: Matrix(own.outputGradients, above: negated))
        }
        difference.contrastLogProbabilities = other.logProbabilities
        difference.measurement -= other.measurement
        return difference
    }
}

/// The weighted sum of the gradients of a behaviour's parts.
///
/// Its rank is that of all parts together, so it is kept multiplied out: `G = Iᵀ G` as far as its users are concerned.
struct BehaviourGradient {
    private var sum: ParameterVector
    private var measurement = 0.0
    private var parts: [QueryGradient.PartValue] = []

    init(of tracked: TrackedLayers) {
        sum = ParameterVector(zeroOf: tracked)
    }

    mutating func add(_ part: QueryGradient, scaledBy share: Double) {
        for (layer, factors) in part.layers.enumerated() {
            sum.layers[layer].addProduct(
                factors.outputGradients.transposed, factors.inputs.slice, scale: Float(share))
        }
        measurement += share * part.measurement
        parts.append(part.value)
    }

    var gradient: QueryGradient {
        QueryGradient(
            layers: sum.layers.map { QueryGradient.Factors(inputs: $0, outputGradients: Matrix(identity: $0.rows)) },
            measurement: measurement, parts: parts)
    }
}

extension QueryGradient {
    /// The log-probabilities of one part of a behaviour, in nats.
    struct PartValue: Sendable {
        let logProbability: Double
        let contrast: Double?
    }

    /// The log-probabilities of a single completion.
    var value: PartValue {
        PartValue(
            logProbability: logProbabilities.reduce(0, +), contrast: contrastLogProbabilities?.reduce(0, +))
    }

    fileprivate init(layers: [Factors], measurement: Double, parts: [PartValue]) {
        self.layers = layers
        self.measurement = measurement
        self.parts = parts
        logProbabilities = []
    }
}

extension Matrix {
    fileprivate init(identity order: Int) {
        self.init(rows: order, columns: order)
        for index in 0..<order { self[index, index] = 1 }
    }

    /// The rows of one matrix above those of another with the same number of columns.
    fileprivate init(_ first: Matrix, above second: Matrix) {
        self.init(rows: first.rows + second.rows, columns: first.columns)
        copy(first.slice, toRow: 0, column: 0)
        copy(second.slice, toRow: first.rows, column: 0)
    }
}

private struct QueryGradientTap: GradientTap {
    /// A layer of an expert to which no token goes keeps one row of zeros: its gradient is zero.
    var layers: [QueryGradient.Factors]

    init(_ tracked: TrackedLayers) {
        layers = tracked.layers.map {
            QueryGradient.Factors(
                inputs: Matrix(rows: 1, columns: $0.inputs), outputGradients: Matrix(rows: 1, columns: $0.outputs))
        }
    }

    mutating func record(_ pass: LayerPass) {
        layers[pass.layer.index] = QueryGradient.Factors(
            inputs: Matrix(pass.inputs), outputGradients: Matrix(pass.outputGradients))
    }
}
