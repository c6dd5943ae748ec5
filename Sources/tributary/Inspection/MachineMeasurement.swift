import Foundation
import LinearAlgebra
import Transformer

/// The speed of this machine with a model, all workers together, and the memory of a pass, measured in a few seconds.
struct MachineMeasurement: Sendable, Encodable {
    let workers: Int
    /// The speed of a pass, forward and backward.
    let tokensPerSecond: Double
    /// The speed of the same pass in operations.
    let passOperationsPerSecond: Double
    /// The speed of products of 512 × 512 matrices.
    let productOperationsPerSecond: Double
    /// The same in bfloat16; `nil` if the processor has no such products. They are not faster on every processor.
    let bf16ProductOperationsPerSecond: Double?
    /// The speed of symmetric eigendecompositions, counted as nine operations times the cube of the order.
    let decompositionOperationsPerSecond: Double
    /// The growth of a worker's workspace with every token of a micro-batch.
    let workspaceBytesPerToken: Int
    /// The constant part of a workspace: a block of logits.
    let workspaceBytes: Int

    private static let productOrder = 512
    private static let decompositionOrder = 512

    /// Runs one sequence of random tokens through the model on every worker, twice, and times the second.
    ///
    /// - Parameter length: The tokens of the sequence; at most the model's context.
    init(of decoder: DecoderModel, tracked: TrackedLayers, length: Int, workers: Workers) throws {
        let description = decoder.description
        let length = max(2, min(length, description.contextLength))
        let slots = (0..<workers.count).map { _ in WorkerSlot(DecoderWorkspace()) }
        func run() throws {
            _ = try workers.run { worker in
                var random = SplitMix64(seed: UInt64(worker))
                var batch = TokenBatch()
                batch.append(
                    (0..<length).map { _ in Int32.random(in: 0..<Int32(description.vocabulary), using: &random) })
                var tap = NoTap()
                slots[worker].withState { workspace in
                    _ = decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
                }
            }
        }
        let before = Matrix.allocatedBytes
        try run()
        let workspace = (Matrix.allocatedBytes - before) / workers.count
        let logits = decoder.logitBytes(tokens: length - 1, samplesLabels: false)
        let passSeconds = try Self.seconds(run)

        self.workers = workers.count
        tokensPerSecond = Double(length * workers.count) / passSeconds
        passOperationsPerSecond = tokensPerSecond * decoder.passOperations(atLength: Double(length))
        workspaceBytesPerToken = max(0, workspace - logits) / length
        workspaceBytes = decoder.logitBytes(tokens: .max, samplesLabels: false)

        productOperationsPerSecond = try Self.productRate(workers: workers, isInHalfPrecision: false)
        bf16ProductOperationsPerSecond =
            HalfMatrix.isSupported && HalfMatrix.canMultiply()
            ? try Self.productRate(workers: workers, isInHalfPrecision: true) : nil

        let decompositionOrder = Self.decompositionOrder
        let decompositionSeconds = try Self.seconds {
            _ = try workers.run { worker in
                var random = SplitMix64(seed: UInt64(worker))
                var values = [Double](repeating: 0, count: decompositionOrder * decompositionOrder)
                for row in 0..<decompositionOrder {
                    for column in row..<decompositionOrder {
                        let value = Double(random.nextNormal())
                        values[row * decompositionOrder + column] = value
                        values[column * decompositionOrder + row] = value
                    }
                }
                return try SymmetricEigen(of: values, order: decompositionOrder).values.count
            }
        }
        decompositionOperationsPerSecond =
            Double(workers.count) * 9 * pow(Double(decompositionOrder), 3) / decompositionSeconds
    }

    private static func productRate(workers: Workers, isInHalfPrecision: Bool) throws -> Double {
        let repetitions = 8
        let order = productOrder
        func run(_ repetitions: Int) throws {
            _ = try workers.run { _ in
                let factor = Matrix(
                    rows: order, columns: order, elements: [Float](repeating: 0.5, count: order * order))
                let right = isInHalfPrecision ? Factor.half(HalfMatrix(factor).slice) : .single(factor.slice)
                var product = Matrix()
                for _ in 0..<repetitions { product.formProduct(factor.slice, right.transposed) }
            }
        }
        // The first product can compile its kernel.
        try run(1)
        return Double(workers.count * repetitions) * 2 * pow(Double(order), 3) / (try seconds { try run(repetitions) })
    }

    private static func seconds(_ work: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let duration = try clock.measure { try work() }
        return max(duration / .seconds(1), 1e-9)
    }
}

/// Consumes nothing, so that only the pass is measured.
private struct NoTap: GradientTap {
    mutating func record(_ pass: LayerPass) {}
}
