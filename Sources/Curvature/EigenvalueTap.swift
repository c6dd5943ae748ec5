import LinearAlgebra
import Transformer

/// Sums the squares of each sequence's gradient in the eigenbasis: `((D Qs)ᵀ (A Qa))²` (Grosse et al. 2023, equation 20).
///
/// Tokens are rotated for the whole batch at once, and inputs once for all layers that read them; only the last product is
/// formed sequence by sequence.
struct EigenvalueTap: GradientTap, Sendable {
    private let bases: [Eigenbasis]
    /// One a layer; each out × in.
    private(set) var sums: [SquareAccumulator]
    private(set) var tokens = 0
    private(set) var sequences = 0

    private var rotatedInputs = Matrix()
    private var rotatedInputsOwner: Int?
    private var rotatedGradients = Matrix()
    private var squares = SequenceSquares()

    init(_ tracked: TrackedLayers, bases: [Eigenbasis]) {
        self.bases = bases
        sums = tracked.layers.map { SquareAccumulator(rows: $0.outputs, columns: $0.inputs) }
    }

    init(bases: [Eigenbasis], sums: [SquareAccumulator], tokens: Int, sequences: Int) {
        self.bases = bases
        self.sums = sums
        self.tokens = tokens
        self.sequences = sequences
    }

    mutating func record(_ pass: LayerPass) {
        let basis = bases[pass.layer.index]
        if rotatedInputsOwner != pass.layer.inputOwner {
            rotatedInputs.formProduct(pass.inputs, basis.activations.vectors)  // tokens × in
            rotatedInputsOwner = pass.layer.inputOwner
        }
        rotatedGradients.formProduct(pass.outputGradients, basis.gradients.vectors)  // tokens × out
        squares.add(rotatedGradients.slice, rotatedInputs.slice, of: pass.batch.sequences, to: &sums[pass.layer.index])
    }

    mutating func finish(_ batch: TokenBatch) {
        rotatedInputsOwner = nil
        tokens += batch.tokens.count
        sequences += batch.sequences.count
    }

    mutating func merge(_ other: EigenvalueTap) {
        for index in sums.indices { sums[index].merge(other.sums[index]) }
        tokens += other.tokens
        sequences += other.sequences
    }
}

/// A layer's two eigendecompositions.
struct Eigenbasis: Sendable {
    /// Of the mean over tokens of `a aᵀ`.
    let activations: BlockEigen
    /// Of the mean over tokens of `d dᵀ`.
    let gradients: BlockEigen
}
