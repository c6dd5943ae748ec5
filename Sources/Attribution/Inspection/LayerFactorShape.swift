import LinearAlgebra
import Transformer

/// How many values a layer's factors have, and the orders of the matrices that are decomposed for them.
struct LayerFactorShape: Sendable {
    let parameters: Int
    /// Of the blocks of its inputs' covariance.
    let inputOrders: [Int]
    /// Of those of its output gradients'.
    let outputOrders: [Int]
    /// Whether the inputs' are its own, and not those of another layer that reads the same.
    let ownsInputs: Bool

    init(of layer: TrackedLayer, largestBlock: Int?) {
        parameters = layer.parameters
        inputOrders = BlockDiagonal.ranges(order: layer.inputs, largest: largestBlock).map(\.count)
        outputOrders = BlockDiagonal.ranges(order: layer.outputs, largest: largestBlock).map(\.count)
        ownsInputs = layer.inputOwner == layer.index
    }

    /// Of the matrices that are decomposed for this layer.
    var orders: [Int] { (ownsInputs ? inputOrders : []) + outputOrders }

    /// Values of `Qa` (unless it is another's) and `Qs`.
    var eigenvectors: Int { orders.reduce(0) { $0 + $1 * $1 } }

    /// And of `Λ`.
    var values: Int { eigenvectors + parameters }

    /// Values in a file, where every layer has its own `Qa`.
    var valuesInFile: Int { (inputOrders + outputOrders).reduce(0) { $0 + $1 * $1 } + parameters }
}
