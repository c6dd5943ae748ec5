import Foundation
import LinearAlgebra

/// TREX (Brophy, Hammoudeh and Lowd 2023): a linear model on the leaves, whose weights are a sum over training rows.
///
/// A row's features are 1/|leaf| for its leaf of each tree, with |leaf| the number of training rows in the leaf. The weights W minimise
///
///     (1/N) Σ L(W φ_i, y_i) + λ ‖W‖²
///
/// so that W = Σ α_i φ_i with α_i = -∂L_i / (2 λ N). The effect of a row on another is the change of its loss when the row's term is left out:
/// L(F - α_i φ_i·φ_x) - L(F). This explains the linear model, which is another model than the trees.
public struct Representers: Sendable {
    /// λ, as published.
    public static let penalty = 0.003

    private let trained: TrainedForest
    /// α of each training row, the classes of a row side by side.
    public let alphas: [Double]
    /// W of each leaf of all trees, the classes of a leaf side by side.
    private let weights: [Double]
    private let formula: Formula

    /// Fits the linear model by Newton's method, to the precision of rounding.
    ///
    /// - Parameter formula: As published, α is half of this for the squared loss, and F is half of the linear model's prediction.
    /// - Throws: ``TreesError/notConverged(reason:)``.
    /// - Complexity: O(rows × trees × classes) for each of some dozens of products.
    public init(
        _ trained: TrainedForest, penalty: Double = Representers.penalty, formula: Formula = .exact,
        workers: Workers = Workers(),
        progress: TreesProgress = { _, _ in }
    ) throws {
        self.trained = trained
        self.formula = formula
        var problem = LinearProblem(trained, penalty: penalty, workers: workers)
        try problem.solve(progress: progress)
        let share = formula == .published && trained.forest.loss == .squared ? 0.5 : 1
        weights = problem.weights.map { share * $0 }
        let outputs = trained.outputs
        let scale = -share / (2 * penalty * Double(trained.rows))
        var alphas: [Double] = []
        alphas.reserveCapacity(trained.rows * outputs)
        for block in trained.table.blocks {
            var means = problem.predictions(block, problem.weights)
            for row in 0..<block.rows {
                trained.forest.loss.activate(&means, at: row * outputs)
                for output in 0..<outputs {
                    alphas.append(
                        scale * (means[row * outputs + output] - trained.forest.loss.target(block.labels[row], output)))
                }
            }
        }
        self.alphas = alphas
    }

    /// The scores of all training rows for each test row. Positive: without the row, the loss is higher.
    public func scores(
        on tests: LeafTable, workers: Workers = Workers(), progress: TreesProgress = { _, _ in }
    ) throws -> [[Double]] {
        let (loss, outputs, table) = (trained.forest.loss, trained.outputs, trained.table)
        let predictions = tests.blocks.flatMap { LinearProblem.predictions($0, weights, trained) }
        let raw = (0..<tests.rows).map { Array(predictions[$0 * outputs..<($0 + 1) * outputs]) }
        let labels = tests.labels
        let losses = raw.indices.map { loss.value(raw[$0], label: labels[$0]) }
        let partials = try workers.map(0..<table.blocks.count) { _, index in
            let block = table.blocks[index]
            var kernel = [Double](repeating: 0, count: block.rows)
            var scores: [Double] = []
            for test in 0..<tests.rows {
                for row in kernel.indices { kernel[row] = 0 }
                for tree in trained.forest.trees.indices {
                    let leaf = tests.leaf(of: test, in: tree)
                    let share = trained.leafShare(table.starts[tree] + leaf)
                    let first = tree * block.rows
                    for row in 0..<block.rows where Int(block.leaves[first + row]) == leaf {
                        kernel[row] += share * share
                    }
                }
                for row in 0..<block.rows {
                    let without = (0..<outputs).map {
                        raw[test][$0] - alphas[(block.start + row) * outputs + $0] * kernel[row]
                    }
                    scores.append(loss.value(without, label: labels[test]) - losses[test])
                }
            }
            try progress(index + 1, table.blocks.count)
            return scores
        }
        return (0..<tests.rows).map { test in
            zip(table.blocks, partials).flatMap { block, partial in partial[test * block.rows..<(test + 1) * block.rows]
            }
        }
    }

    /// The score of each training row on itself.
    public func scoresOnSelf(workers: Workers = Workers(), progress: TreesProgress = { _, _ in }) throws -> [Double] {
        let (loss, outputs, table) = (trained.forest.loss, trained.outputs, trained.table)
        return try workers.map(0..<table.blocks.count) { _, index in
            let block = table.blocks[index]
            var kernel = [Double](repeating: 0, count: block.rows)
            for tree in trained.forest.trees.indices {
                for row in 0..<block.rows {
                    let share = trained.leafShare(table.starts[tree] + Int(block.leaves[tree * block.rows + row]))
                    kernel[row] += share * share
                }
            }
            let predictions = LinearProblem.predictions(block, weights, trained)
            try progress(index + 1, table.blocks.count)
            return (0..<block.rows).map { row in
                let raw = Array(predictions[row * outputs..<(row + 1) * outputs])
                let without = (0..<outputs).map {
                    raw[$0] - alphas[(block.start + row) * outputs + $0] * kernel[row]
                }
                return loss.value(without, label: block.labels[row]) - loss.value(raw, label: block.labels[row])
            }
        }.flatMap { $0 }
    }
}

extension TrainedForest {
    /// The feature of a leaf: 1/|leaf|; 0 for a leaf without training rows.
    fileprivate func leafShare(_ leaf: Int) -> Double { counts[leaf] > 0 ? 1 / Double(counts[leaf]) : 0 }
}

/// The regularised linear model on leaves.
private struct LinearProblem {
    let trained: TrainedForest
    let penalty: Double
    let workers: Workers
    private(set) var weights: [Double]

    init(_ trained: TrainedForest, penalty: Double, workers: Workers) {
        self.trained = trained
        self.penalty = penalty
        self.workers = workers
        weights = [Double](repeating: 0, count: trained.values.count * trained.outputs)
    }

    /// W φ of a block's rows, the classes of a row side by side.
    static func predictions(_ block: LeafTable.Block, _ weights: [Double], _ trained: TrainedForest) -> [Double] {
        let outputs = trained.outputs
        var sums = [Double](repeating: 0, count: block.rows * outputs)
        for tree in trained.forest.trees.indices {
            let start = trained.table.starts[tree]
            for row in 0..<block.rows {
                let leaf = start + Int(block.leaves[tree * block.rows + row])
                let share = trained.leafShare(leaf)
                for output in 0..<outputs { sums[row * outputs + output] += share * weights[leaf * outputs + output] }
            }
        }
        return sums
    }

    func predictions(_ block: LeafTable.Block, _ weights: [Double]) -> [Double] {
        Self.predictions(block, weights, trained)
    }

    /// Adds φ_r ⊗ u_r over a block's rows.
    private func scatter(_ block: LeafTable.Block, _ rows: [Double], into sums: inout [Double]) {
        let outputs = trained.outputs
        for tree in trained.forest.trees.indices {
            let start = trained.table.starts[tree]
            for row in 0..<block.rows {
                let leaf = start + Int(block.leaves[tree * block.rows + row])
                let share = trained.leafShare(leaf)
                for output in 0..<outputs { sums[leaf * outputs + output] += share * rows[row * outputs + output] }
            }
        }
    }

    /// Sums a function of the blocks' rows over all rows, divided by N, and adds 2 λ times a vector.
    private func sum(
        adding vector: [Double], _ body: @Sendable (LeafTable.Block) -> (rows: [Double], loss: Double)
    ) throws -> (vector: [Double], loss: Double) {
        let blocks = trained.table.blocks
        let partials = try workers.run { worker in
            var sums = [Double](repeating: 0, count: vector.count)
            var loss = 0.0
            for index in stride(from: worker, to: blocks.count, by: workers.count) {
                let part = body(blocks[index])
                loss += part.loss
                scatter(blocks[index], part.rows, into: &sums)
            }
            return (sums, loss)
        }
        let count = Double(trained.rows)
        var total = vector.map { 2 * penalty * $0 }
        var loss = 0.0
        for (sums, part) in partials {
            for index in total.indices { total[index] += sums[index] / count }
            loss += part / count
        }
        return (total, loss)
    }

    private func gradient(at weights: [Double]) throws -> (vector: [Double], loss: Double) {
        let (loss, outputs) = (trained.forest.loss, trained.outputs)
        let result = try sum(adding: weights) { block in
            var rows = predictions(block, weights)
            var total = 0.0
            for row in 0..<block.rows {
                let raw = Array(rows[row * outputs..<(row + 1) * outputs])
                total += loss.value(raw, label: block.labels[row])
                loss.activate(&rows, at: row * outputs)
                for output in 0..<outputs { rows[row * outputs + output] -= loss.target(block.labels[row], output) }
            }
            return (rows, total)
        }
        return (result.vector, result.loss + penalty * Self.dot(weights, weights))
    }

    /// The product of the objective's second derivative with a vector. Softmax has its true one here, without the boosters' factor.
    private func curvature(_ vector: [Double], at weights: [Double]) throws -> [Double] {
        let (loss, outputs) = (trained.forest.loss, trained.outputs)
        return try sum(adding: vector) { block in
            var means = predictions(block, weights)
            var rows = predictions(block, vector)
            for row in 0..<block.rows {
                let start = row * outputs
                loss.activate(&means, at: start)
                switch loss {
                case .squared: break
                case .logistic: rows[start] *= means[start] * (1 - means[start])
                case .softmax:
                    var inner = 0.0
                    for output in 0..<outputs { inner += means[start + output] * rows[start + output] }
                    for output in 0..<outputs {
                        rows[start + output] = means[start + output] * (rows[start + output] - inner)
                    }
                }
            }
            return (rows, 0)
        }.vector
    }

    /// Newton's method with conjugate gradients. The objective is strictly convex, so there is one solution.
    mutating func solve(progress: TreesProgress) throws {
        var (gradient, value) = try gradient(at: weights)
        let first = Self.dot(gradient, gradient).squareRoot()
        guard first > 0 else { return }
        var last = first
        for iteration in 0..<Self.iterations {
            try progress(iteration, Self.iterations)
            let step = try direction(gradient)
            var length = 1.0
            while true {
                let candidate = zip(weights, step).map { $0 + length * $1 }
                let (next, nextValue) = try self.gradient(at: candidate)
                // The last steps change the objective by less than its rounding.
                if nextValue <= value + 1e-12 * abs(value) {
                    (weights, gradient, value) = (candidate, next, nextValue)
                    break
                }
                length /= 2
                guard length > 1e-6 else { throw TreesError.notConverged(reason: "no step lowers the objective") }
            }
            let norm = Self.dot(gradient, gradient).squareRoot()
            if norm <= 1e-13 * first || norm <= 1e-9 * first && norm > 0.5 * last { return }
            last = norm
        }
        guard last <= 1e-9 * first else {
            throw TreesError.notConverged(
                reason: "a gradient of \(last / first) of the first is left after \(Self.iterations) steps")
        }
    }

    private static let iterations = 60
    private static let innerIterations = 2_000

    /// -H⁻¹ g.
    private func direction(_ gradient: [Double]) throws -> [Double] {
        var solution = [Double](repeating: 0, count: gradient.count)
        var residual = gradient.map { -$0 }
        var direction = residual
        var square = Self.dot(residual, residual)
        let goal = 1e-24 * square
        for _ in 0..<Self.innerIterations where square > goal {
            let product = try curvature(direction, at: weights)
            let length = square / Self.dot(direction, product)
            for index in solution.indices {
                solution[index] += length * direction[index]
                residual[index] -= length * product[index]
            }
            let next = Self.dot(residual, residual)
            for index in direction.indices { direction[index] = residual[index] + next / square * direction[index] }
            square = next
        }
        return solution
    }

    private static func dot(_ left: [Double], _ right: [Double]) -> Double {
        zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
    }
}
