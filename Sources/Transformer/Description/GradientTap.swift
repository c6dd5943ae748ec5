import LinearAlgebra

/// Receives the inputs and output gradients of each tracked linear layer from the backward pass.
///
/// For `y = W x`, a sequence's weight gradient is `G = Dᵀ A`: `A` (tokens × in) are the layer's inputs, `D` (tokens × out) the
/// gradients of the sequence's loss with respect to its outputs. The backward pass passes `A` and `D`, never `G`, so that each tap can
/// choose the cheapest way to use them (Grosse et al. 2023, equations 16 to 20). Nothing else reaches into the model.
public protocol GradientTap {
    /// Receives one layer's pass over a micro-batch.
    ///
    /// Called once per tracked layer and micro-batch, from the last block to the first; not called for the layers of an expert to which
    /// no token of the micro-batch goes. The matrices belong to the worker's workspace: a tap that keeps one costs a copy.
    mutating func record(_ pass: LayerPass)

    /// Called when all layers of a micro-batch have been recorded.
    mutating func finish(_ batch: TokenBatch)

    /// Whether the backward pass also calls the methods below, and goes down to the embedding, as training needs.
    var needsEveryParameter: Bool { get }

    /// Receives a normalisation's pass.
    mutating func record(_ pass: NormalizationPass)

    /// Receives the pass of a linear layer that no selection tracks: a mixture's router, or the gate of its shared expert.
    mutating func record(_ pass: UntrackedPass)

    /// Receives the gradients of the embedding's output: the sum of token embedding and, if learned, position embedding.
    mutating func record(_ pass: EmbeddingPass)

    /// Receives one block of the output head's pass: inputs, and gradients of the logits.
    mutating func recordHead(inputs: Matrix, outputGradients: Matrix)
}

extension GradientTap {
    public mutating func finish(_ batch: TokenBatch) {}
    public var needsEveryParameter: Bool { false }
    public mutating func record(_ pass: NormalizationPass) {}
    public mutating func record(_ pass: UntrackedPass) {}
    public mutating func record(_ pass: EmbeddingPass) {}
    public mutating func recordHead(inputs: Matrix, outputGradients: Matrix) {}
}

/// One linear layer's part in a backward pass.
public struct LayerPass {
    public let layer: TrackedLayer
    /// `A`: tokens × `layer.inputs`; if the layer has a bias, the last column is 1.
    public let inputs: MatrixSlice
    /// `D`: tokens × `layer.outputs`
    public let outputGradients: MatrixSlice
    /// The micro-batch.
    public let batch: TokenBatch
    /// The micro-batch's position of each row, ascending, if only some tokens go through the layer, as through an expert's. nil if all
    /// do, so that a row is its own position.
    public let positions: [Int]?

    init(
        layer: TrackedLayer, inputs: MatrixSlice, outputGradients: MatrixSlice, batch: TokenBatch,
        positions: [Int]? = nil
    ) {
        self.layer = layer
        self.inputs = inputs
        self.outputGradients = outputGradients
        self.batch = batch
        self.positions = positions
    }

    /// The rows of each sequence of the micro-batch; empty if none of its tokens goes through the layer.
    public var sequences: [Range<Int>] {
        positions == nil ? batch.sequences : batch.sequences.map { rows(in: $0) }
    }

    /// The rows of a range of the micro-batch's positions.
    public func rows(in range: Range<Int>) -> Range<Int> {
        guard let positions else { return range }
        let first = positions.firstIndex(from: range.lowerBound)
        return first..<max(first, positions.firstIndex(from: range.upperBound))
    }
}

extension [Int] {
    /// The index of the first of these ascending numbers that is at least the given one.
    fileprivate func firstIndex(from least: Int) -> Int {
        var (start, end) = (startIndex, endIndex)
        while start < end {
            let middle = start + (end - start) / 2
            if self[middle] < least { start = middle + 1 } else { end = middle }
        }
        return start
    }
}

/// The part in a backward pass of a linear layer that no selection tracks.
public struct UntrackedPass {
    public let name: String
    /// tokens × in
    public let inputs: Matrix
    /// tokens × out
    public let outputGradients: Matrix
}

/// One normalisation's part in a backward pass.
public struct NormalizationPass {
    public let name: String
    /// tokens × width
    public let inputs: Matrix
    /// Mean and reciprocal deviation of each row.
    public let statistics: Matrix
    /// tokens × at least width
    public let outputGradients: Matrix
}

/// The embedding's part in a backward pass.
public struct EmbeddingPass {
    /// tokens × width
    public let outputGradients: Matrix
    public let batch: TokenBatch
}

/// A linear layer whose gradients a tap receives.
public struct TrackedLayer: Sendable, Hashable {
    /// Its index among the tracked layers, from the first block to the last.
    public let index: Int
    /// The module's name in the checkpoint, without ".weight".
    public let name: String
    /// The width of its inputs, including the 1 that is appended if it has a bias.
    public let inputs: Int
    public let outputs: Int
    /// The index of the tracked layer that represents all layers with the same inputs; it can be this one.
    public let inputOwner: Int
    /// The expert that the layer belongs to, if only the tokens that are routed to it go through the layer.
    public internal(set) var expert: Expert?

    /// An expert of a mixture.
    public struct Expert: Sendable, Hashable {
        /// The module's name in the checkpoint.
        public let name: String
        /// The share of tokens that would go to it if all experts were used alike.
        public let share: Double
    }

    /// The number of values in the layer's weight matrix.
    public var parameters: Int { inputs * outputs }
}

/// Which linear layers are tracked.
public struct LayerSelection: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The linear layers of every MLP, as in Grosse et al. 2023.
    public static let feedForward = LayerSelection(rawValue: 1)
    /// The projections to queries, keys and values, and the output projection.
    public static let attention = LayerSelection(rawValue: 2)
    /// The matrices of the adapter, and none of the base's own.
    public static let adapter = LayerSelection(rawValue: 4)
    /// All layers of the model itself.
    public static let all: LayerSelection = [.feedForward, .attention]
}
