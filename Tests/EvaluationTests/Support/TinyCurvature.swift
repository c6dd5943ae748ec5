import LinearAlgebra
import Sequences
import Synchronization
import Transformer

@testable import Curvature
@testable import Transformer

/// A model with so few tracked parameters that its Gauss-Newton matrix is written out.
struct TinyCurvature: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        /// Root-mean-square norms, rotary positions and a gated MLP.
        case gated
        /// Layer norms, learned positions and an MLP with biases.
        case biased
        /// One gated block of 60 parameters and few sequences: iterations over all of them take no time.
        case small
    }

    let matrix: GaussNewtonMatrix
    let factors: EKFACFactors
    let damping: [Double]
    /// One that is not among those of the curvature.
    let sequence: TrainingSequence
    /// Its gradient.
    let vector: ParameterVector
    /// G, parameters × parameters, layer after layer and row after row.
    let dense: Matrix

    private static let cache = Mutex<[Kind: TinyCurvature]>([:])

    static func cached(_ kind: Kind) throws -> TinyCurvature {
        try cache.withLock { cache in
            if let known = cache[kind] { return known }
            let made = try TinyCurvature(kind)
            cache[kind] = made
            return made
        }
    }

    private init(_ kind: Kind) throws {
        let decoder = try Self.decoder(kind)
        let tracked = TrackedLayers(of: decoder)
        let sequences = Self.sequences(kind == .small ? 8 : 24)
        let source = FactorFit.Source(count: sequences.count, digest: "tiny") { Array(sequences[$0]) }
        matrix = GaussNewtonMatrix(
            decoder: decoder, tracked: tracked, source: source, workers: Workers(count: 2), batchTokens: 512)
        // Each sequence many times, each time with other labels: what is left of EK-FAC's error is its own.
        let drawn = FactorFit.Source(count: 32 * sequences.count, digest: "tiny") { range in
            range.map { sequences[$0 % sequences.count] }
        }
        factors = try FactorFit(
            decoder: decoder, modelDigest: "tiny", source: drawn, seed: 1, workers: Workers(count: 1)
        ).run()
        damping = factors.damping()
        var batch = TokenBatch()
        sequence = TrainingSequence(tokens: Self.sequences(50)[49])
        batch.append(sequence)
        var workspace = DecoderWorkspace()
        var tap = GradientSumTap(tracked)
        decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        vector = tap.sum
        dense = Self.dense(decoder, tracked, sequences)
    }

    private static func decoder(_ kind: Kind) throws -> DecoderModel {
        let isGated = kind != .biased
        let isSmall = kind == .small
        var decoder = try DecoderModel(
            initializing: DecoderDescription(
                architecture: isGated ? "llama" : "gpt2", vocabulary: 24, contextLength: 16, width: isSmall ? 4 : 8,
                layers: isSmall ? 1 : 2, heads: isSmall ? 1 : 2, keyValueHeads: isSmall ? 1 : 2, headWidth: 4,
                feedForwardWidth: isSmall ? 5 : isGated ? 10 : 14,
                normalization: isGated ? .rootMeanSquare : .layer, normalizationEpsilon: 1e-5,
                position: isGated ? .rotary(RotaryEmbedding(base: 100, width: 4)) : .learned,
                feedForward: isGated ? .gatedSilu : .geluTanh, attentionInput: isGated ? .separate : .fused,
                attentionInputBias: !isGated, attentionOutputBias: !isGated, feedForwardBias: !isGated,
                isHeadTied: true), seed: 7)
        // The small weights of a model before training would leave its distribution flat, and its layers independent.
        decoder.updateParameters { name, parameter in
            if !name.hasSuffix(".gain") { parameter.scale(by: name.contains("embedding") ? 40 : 20) }
        }
        return decoder
    }

    /// Sequences in which what follows depends on what went before.
    private static func sequences(_ count: Int) -> [[Int32]] {
        var generator = SplitMix64(seed: 3)
        return (0..<count).map { _ in
            var token = Int(generator.next() % 24)
            return (0..<12).map { _ in
                token = (5 * token + Int(generator.next() % 4)) % 24
                return Int32(token)
            }
        }
    }

    /// `Σ Jᵀ (diag(p) - p pᵀ) J / N`, of the tangents of all logits along every single parameter.
    private static func dense(_ decoder: DecoderModel, _ tracked: TrackedLayers, _ sequences: [[Int32]]) -> Matrix {
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        let positions = batch.lossPositions
        var workspace = DecoderWorkspace()
        var tangents = TangentWorkspace()
        var probabilities = decoder.logits(of: batch, at: positions, in: &workspace)
        probabilities.applyCausalSoftmax(scale: 1, firstLimit: probabilities.columns)
        var direction = ParameterVector(zeroOf: tracked)
        let values = probabilities.count
        var jacobian = Matrix(rows: direction.count, columns: values)
        var weighted = Matrix(rows: direction.count, columns: values)
        var row = 0
        for layer in tracked.layers {
            for output in 0..<layer.outputs {
                for input in 0..<layer.inputs {
                    direction.layers[layer.index][output, input] = 1
                    var slopes = decoder.logitTangents(
                        of: batch, at: positions, along: direction, tracked: tracked, in: &workspace, &tangents)
                    jacobian.setRow(row, to: slopes)
                    slopes.applySoftmaxGradient(probabilities: probabilities, scale: 1)
                    weighted.setRow(row, to: slopes)
                    direction.layers[layer.index][output, input] = 0
                    row += 1
                }
            }
        }
        var dense = Matrix()
        dense.formProduct(jacobian.slice, weighted.transposed, scale: 1 / Float(sequences.count))
        return dense
    }

    /// `(G + λI)⁻¹ v` by the eigenvectors of the dense matrix.
    ///
    /// - Parameter blocksAlone: Without what lies between different layers, which Kronecker factors leave out.
    func exact(damping: [Double], blocksAlone: Bool = false) throws -> ParameterVector {
        let order = dense.rows
        var system = dense.elements.map(Double.init)
        if blocksAlone {
            let owners = matrix.tracked.layers.flatMap { [Int](repeating: $0.index, count: $0.parameters) }
            for row in 0..<order {
                for column in 0..<order where owners[row] != owners[column] { system[row * order + column] = 0 }
            }
        }
        // Products left rounding on either side of the diagonal.
        for row in 0..<order {
            for column in 0..<row {
                let mean = (system[row * order + column] + system[column * order + row]) / 2
                system[row * order + column] = mean
                system[column * order + row] = mean
            }
        }
        var row = 0
        for layer in matrix.tracked.layers {
            for _ in 0..<layer.parameters {
                system[row * order + row] += damping[layer.index]
                row += 1
            }
        }
        let eigen = try SymmetricEigen(of: system, order: order)
        var rotated = Matrix()
        rotated.formProduct(eigen.vectors.transposed, vector.column.slice)
        for row in 0..<order { rotated[row, 0] = Float(Double(rotated[row, 0]) / eigen.values[row]) }
        var solution = Matrix()
        solution.formProduct(eigen.vectors.slice, rotated.slice)
        return vector.shaped(solution.elements)
    }
}

extension ParameterVector {
    /// All values as one column.
    var column: Matrix { Matrix(rows: count, columns: 1, elements: layers.flatMap(\.elements)) }

    /// Values in this vector's shapes.
    func shaped(_ values: [Float]) -> ParameterVector {
        var start = 0
        return ParameterVector(
            layers: layers.map { layer in
                defer { start += layer.count }
                return Matrix(
                    rows: layer.rows, columns: layer.columns, elements: Array(values[start..<(start + layer.count)]))
            })
    }

    /// `‖this - other‖ / ‖other‖`
    func distance(from other: ParameterVector) -> Double {
        var difference = self
        difference.add(other, scaledBy: -1)
        return difference.norm / other.norm
    }

    func cosine(to other: ParameterVector) -> Double { dot(other) / (norm * other.norm) }
}
