import Curvature
import LinearAlgebra
import Transformer

/// The inverse of the curvature's diagonal: divides each entry of a vector by the diagonal's entry plus λ.
struct DiagonalInverse: InverseCurvature {
    /// The diagonal of the Fisher matrix.
    let diagonal: ParameterVector
    private let damping: [Double]

    /// - Parameter damping: λ of each layer.
    init(diagonal: ParameterVector, damping: [Double]) {
        precondition(
            diagonal.layers.count == damping.count, "\(damping.count) dampings for \(diagonal.layers.count) layers")
        self.diagonal = diagonal
        self.damping = damping
    }

    /// Finds the diagonal as the mean over sequences of the squared gradient, entry by entry, with labels drawn from the model's
    /// own distribution.
    ///
    /// - Parameters:
    ///   - sequences: The sequences that are used; all by default.
    ///   - damping: λ of each layer.
    init(
        of matrix: GaussNewtonMatrix, over sequences: [Int]? = nil, seed: UInt64 = 0, damping: [Double],
        control: WorkControl<WorkProgress> = WorkControl()
    ) throws {
        let sequences = sequences ?? Array(0..<matrix.count)
        guard !sequences.isEmpty else { throw SolveError.noSequences }
        var total: [SquareAccumulator]?
        // Sequences are read part by part, which bounds the memory that they take and lets progress be reported.
        for start in stride(from: 0, to: sequences.count, by: 1_024) {
            control.progress(WorkProgress(done: start, total: sequences.count))
            let part = Array(sequences[start..<min(start + 1_024, sequences.count)])
            let taps = try matrix.run(part, control: control) {
                .sampled(seed: seed, key: UInt64($0))
            } tap: {
                SquaredGradientTap(matrix.tracked)
            }
            for tap in taps {
                guard var sums = total else {
                    total = tap.sums
                    continue
                }
                for layer in sums.indices { sums[layer].merge(tap.sums[layer]) }
                total = sums
            }
        }
        control.progress(WorkProgress(done: sequences.count, total: sequences.count))
        let diagonal = (total ?? []).map { $0.mean(over: Double(sequences.count)) }
        self.init(diagonal: ParameterVector(layers: diagonal), damping: damping)
        guard self.diagonal.isFinite else { throw SolveError.notFinite }
    }

    func solve(_ vectors: [ParameterVector], control: WorkControl<WorkProgress>) throws -> InverseProducts {
        let solved = vectors.map { vector in
            ParameterVector(
                layers: vector.layers.indices.map { layer in
                    // As with EK-FAC, a layer without curvature has no influence.
                    guard Float(damping[layer]) > 0 else {
                        return Matrix(rows: vector.layers[layer].rows, columns: vector.layers[layer].columns)
                    }
                    var quotient = Matrix()
                    quotient.formDampedQuotient(
                        vector.layers[layer], diagonal.layers[layer], damping: Float(damping[layer]))
                    return quotient
                })
        }
        return InverseProducts(vectors: solved, cost: SolveCost())
    }
}

/// Sums the squares of each sequence's gradient, entry by entry.
private struct SquaredGradientTap: GradientTap, Sendable {
    private(set) var sums: [SquareAccumulator]
    private var squares = SequenceSquares()

    init(_ tracked: TrackedLayers) {
        sums = tracked.layers.map { SquareAccumulator(rows: $0.outputs, columns: $0.inputs) }
    }

    mutating func record(_ pass: LayerPass) {
        squares.add(pass.outputGradients, pass.inputs, of: pass.sequences, to: &sums[pass.layer.index])
    }
}

/// Ignores the curvature: the result is the vector itself, so that scores are inner products of gradients (TracIn at the last
/// checkpoint, Pruthi et al. 2020). Damping has no effect, and scores are not in nats.
struct IdentityInverse: InverseCurvature {
    func solve(_ vectors: [ParameterVector], control: WorkControl<WorkProgress>) throws -> InverseProducts {
        InverseProducts(vectors: vectors, cost: SolveCost())
    }
}
