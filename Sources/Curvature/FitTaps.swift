import LinearAlgebra
import Transformer

/// Sums the covariances of each layer's inputs and output gradients over all tokens.
///
/// Layers that read the same inputs share one sum. Sums are symmetric and kept in Float64 (``SymmetricAccumulator``).
struct CovarianceTap: GradientTap, Sendable {
    /// The inputs' sums by ``TrackedLayer/inputOwner``; each in × in.
    private(set) var activations: [Int: SymmetricAccumulator]
    /// The output gradients' sums, one per layer; each out × out.
    private(set) var gradients: [SymmetricAccumulator]
    /// The tokens that went through each layer: all, except in experts.
    private(set) var layerTokens: [Int]
    private(set) var tokens = 0
    private(set) var sequences = 0

    private var gram = Matrix()

    /// - Parameter largestBlock: The most rows of the blocks into which larger covariances are split; `nil` to split none.
    init(_ tracked: TrackedLayers, largestBlock: Int? = nil) {
        activations = [:]
        func accumulator(_ order: Int) -> SymmetricAccumulator {
            SymmetricAccumulator(blocks: BlockDiagonal.ranges(order: order, largest: largestBlock))
        }
        for layer in tracked.layers where layer.index == layer.inputOwner {
            activations[layer.index] = accumulator(layer.inputs)
        }
        gradients = tracked.layers.map { accumulator($0.outputs) }
        layerTokens = [Int](repeating: 0, count: tracked.layers.count)
    }

    init(
        activations: [Int: SymmetricAccumulator], gradients: [SymmetricAccumulator], layerTokens: [Int], tokens: Int,
        sequences: Int
    ) {
        self.activations = activations
        self.gradients = gradients
        self.layerTokens = layerTokens
        self.tokens = tokens
        self.sequences = sequences
    }

    mutating func record(_ pass: LayerPass) {
        if pass.layer.index == pass.layer.inputOwner {
            activations[pass.layer.index]?.addGram(of: pass.inputs, through: &gram)  // in × in += AᵀA
        }
        gradients[pass.layer.index].addGram(of: pass.outputGradients, through: &gram)  // out × out += DᵀD
        layerTokens[pass.layer.index] += pass.inputs.rows
    }

    mutating func finish(_ batch: TokenBatch) {
        tokens += batch.tokens.count
        sequences += batch.sequences.count
    }

    mutating func merge(_ other: CovarianceTap) {
        for (owner, sum) in other.activations { activations[owner]?.merge(sum) }
        for index in gradients.indices {
            gradients[index].merge(other.gradients[index])
            layerTokens[index] += other.layerTokens[index]
        }
        tokens += other.tokens
        sequences += other.sequences
    }
}

/// Sums the squares of each sequence's gradient in the eigenbasis: `((D Qs)ᵀ (A Qa))²` (Grosse et al. 2023, equation 20).
///
/// Tokens are rotated for the whole micro-batch at once, and inputs once for all layers that read them. Only the last product is
/// formed sequence by sequence.
struct EigenvalueTap: GradientTap, Sendable {
    private let bases: [Eigenbasis]
    /// One per layer; each out × in.
    private(set) var sums: [SquareAccumulator]
    /// The tokens that went through each layer: all, except in experts.
    private(set) var layerTokens: [Int]
    private(set) var tokens = 0
    private(set) var sequences = 0

    private var rotatedInputs = Matrix()
    private var rotatedInputsOwner: Int?
    private var rotatedGradients = Matrix()
    private var squares = SequenceSquares()

    init(_ tracked: TrackedLayers, bases: [Eigenbasis]) {
        self.bases = bases
        sums = tracked.layers.map { SquareAccumulator(rows: $0.outputs, columns: $0.inputs) }
        layerTokens = [Int](repeating: 0, count: tracked.layers.count)
    }

    init(bases: [Eigenbasis], sums: [SquareAccumulator], layerTokens: [Int], tokens: Int, sequences: Int) {
        self.bases = bases
        self.sums = sums
        self.layerTokens = layerTokens
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
        squares.add(rotatedGradients.slice, rotatedInputs.slice, of: pass.sequences, to: &sums[pass.layer.index])
        layerTokens[pass.layer.index] += pass.inputs.rows
    }

    mutating func finish(_ batch: TokenBatch) {
        rotatedInputsOwner = nil
        tokens += batch.tokens.count
        sequences += batch.sequences.count
    }

    mutating func merge(_ other: EigenvalueTap) {
        for index in sums.indices {
            sums[index].merge(other.sums[index])
            layerTokens[index] += other.layerTokens[index]
        }
        tokens += other.tokens
        sequences += other.sequences
    }
}

/// A layer's two eigendecompositions.
struct Eigenbasis: Sendable {
    /// The eigendecomposition of the mean over tokens of `a aᵀ`.
    let activations: BlockEigen
    /// The eigendecomposition of the mean over tokens of `d dᵀ`.
    let gradients: BlockEigen
}

/// Adds the squares of each sequence's `Dᵀ A`, entry by entry, to a sum.
package struct SequenceSquares: Sendable {
    /// Some rows of a sequence's product, few enough to stay in the processor's cache until they are squared.
    private var rows = Matrix()
    private var squares = Matrix()
    private static let blockRows = 64

    package init() {}

    /// - Parameters:
    ///   - outputs: `D`, tokens × out.
    ///   - inputs: `A`, tokens × in.
    ///   - sequences: The tokens of each sequence, which can have none.
    package mutating func add(
        _ outputs: MatrixSlice, _ inputs: MatrixSlice, of sequences: [Range<Int>], to sum: inout SquareAccumulator
    ) {
        squares.resize(rows: outputs.columns, columns: inputs.columns, filledWith: 0)
        // A block of rows takes all sequences before the next block does, so that the sums stay in the cache as well.
        for start in stride(from: 0, to: outputs.columns, by: Self.blockRows) {
            let columns = start..<min(start + Self.blockRows, outputs.columns)
            for tokens in sequences where !tokens.isEmpty {
                rows.formProduct(outputs[rows: tokens, columns: columns].transposed, inputs[rows: tokens])
                squares.addSquares(of: rows, fromRow: start)
            }
        }
        sum.add(squares)
    }
}
