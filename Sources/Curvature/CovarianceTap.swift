import LinearAlgebra
import Transformer

/// Sums the covariances of each layer's inputs and output gradients over all tokens.
///
/// Layers that read the same inputs share one sum. Sums are symmetric and kept in Float64 (``SymmetricAccumulator``).
struct CovarianceTap: GradientTap, Sendable {
    /// Of inputs, by ``TrackedLayer/inputOwner``; each in × in.
    private(set) var activations: [Int: SymmetricAccumulator]
    /// Of output gradients, one a layer; each out × out.
    private(set) var gradients: [SymmetricAccumulator]
    private(set) var tokens = 0
    private(set) var sequences = 0

    private var gram = Matrix()

    /// - Parameter largestBlock: Rows of the blocks into which larger covariances are split; `nil` for none.
    init(_ tracked: TrackedLayers, largestBlock: Int? = nil) {
        activations = [:]
        func accumulator(_ order: Int) -> SymmetricAccumulator {
            SymmetricAccumulator(blocks: BlockDiagonal.ranges(order: order, largest: largestBlock))
        }
        for layer in tracked.layers where layer.index == layer.inputOwner {
            activations[layer.index] = accumulator(layer.inputs)
        }
        gradients = tracked.layers.map { accumulator($0.outputs) }
    }

    init(
        activations: [Int: SymmetricAccumulator], gradients: [SymmetricAccumulator], tokens: Int, sequences: Int
    ) {
        self.activations = activations
        self.gradients = gradients
        self.tokens = tokens
        self.sequences = sequences
    }

    mutating func record(_ pass: LayerPass) {
        if pass.layer.index == pass.layer.inputOwner {
            activations[pass.layer.index]?.addGram(of: pass.inputs, through: &gram)  // in × in += AᵀA
        }
        gradients[pass.layer.index].addGram(of: pass.outputGradients, through: &gram)  // out × out += DᵀD
    }

    mutating func finish(_ batch: TokenBatch) {
        tokens += batch.tokens.count
        sequences += batch.sequences.count
    }

    mutating func merge(_ other: CovarianceTap) {
        for (owner, sum) in other.activations { activations[owner]?.merge(sum) }
        for index in gradients.indices { gradients[index].merge(other.gradients[index]) }
        tokens += other.tokens
        sequences += other.sequences
    }
}
