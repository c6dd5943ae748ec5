import Foundation
import LinearAlgebra

/// A model with the rows that it was trained on.
///
/// This type exists only if the rows rebuild the model: each leaf's value is the Newton step `v = -η G / (H + λ)` with the sums `G` of first and
/// `H` of second derivatives over the rows in the leaf, at the predictions before the tree. Rows that are not the training rows, row weights,
/// sampling, L1 and boosters of another kind leave a residual, and are refused.
public struct TrainedForest: Sendable {
    /// The model; its first trees are without the base score.
    public let forest: Forest
    public let table: LeafTable
    /// The raw predictions before the first tree, one for each class.
    public let base: [Double]
    /// The learning rate η; the first tree's, if the rate changed during training.
    public let rate: Double
    /// The L2 penalty λ.
    public let penalty: Double
    /// Whether ``rate`` and ``penalty`` were estimated, because XGBoost's files have neither.
    public let isEstimated: Bool
    /// The largest over all leaves of |v (H + λ) + η G| / (η Σ|g|), where the sum is at least a thousandth of the mean |g| before the first
    /// tree for each row.
    public let largestResidual: Double

    /// The largest residual that is accepted. That of rounding is 1e-5 or less: both libraries hold derivatives as Floats.
    public static let tolerance = 5e-4

    /// The values of all leaves, tree by tree.
    let values: [Double]
    /// H + λ of all leaves, tree by tree.
    let denominators: [Double]
    /// λ of all leaves, tree by tree; LightGBM adds to it under categorical splits.
    let penalties: [Double]
    /// The number of training rows in each leaf, tree by tree.
    let counts: [Int]
    /// η of each tree.
    let rates: [Double]

    public var rows: Int { table.rows }
    var outputs: Int { forest.outputs }

    /// Rebuilds every leaf.
    ///
    /// - Parameters:
    ///   - rows: The name of the rows' file, for messages.
    ///   - rate: The learning rate, for a model whose file does not have it; nil to estimate it.
    ///   - penalty: The L2 penalty, likewise.
    ///   - progress: Receives the number of blocks done and of all. What it throws ends the work.
    /// - Throws: ``TreesError/notRebuilt(model:rows:_:)`` with the leaf of the largest residual.
    /// - Complexity: O(rows × trees).
    public init(
        _ forest: Forest, table: LeafTable, rows: String, rate: Double? = nil, penalty: Double? = nil,
        workers: Workers = Workers(),
        progress: @Sendable (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        guard table.rows > 0 else {
            throw TreesError.badColumns(file: rows, expected: "at least one row", found: "none")
        }
        var forest = forest
        base = Self.base(of: forest, labels: table.blocks)
        if forest.base == .averageOfLabels {
            // LightGBM adds the base to the first trees' leaves, unless it is 0.
            var trees = forest.trees
            for output in 0..<forest.outputs {
                for leaf in trees[output].leafValues.indices { trees[output].leafValues[leaf] -= base[output] }
            }
            forest = forest.replacing(trees)
        }
        let values = forest.trees.flatMap(\.leafValues)
        let sums = try LeafSums.of(
            table, forest: forest, base: base, values: values, workers: workers, progress: progress)
        try Self.checkCounts(forest, sums, table, rows: rows)

        let isEstimated = forest.penalty == nil && (rate == nil || penalty == nil)
        let estimate =
            if let penalty = forest.penalty, let rate = forest.trees.first?.rate {
                (rate: rate, penalty: penalty)
            } else {
                try Self.estimate(forest, values, sums, table, rate: rate, penalty: penalty)
            }
        let rates = forest.trees.map { $0.rate ?? estimate.rate }
        let floor = 1e-3 * sums.firstGradient
        var denominators = [Double](repeating: 1, count: values.count)
        var penalties = [Double](repeating: estimate.penalty, count: values.count)
        var worst: LeafMismatch?
        for (number, tree) in forest.trees.enumerated() {
            let underCategories = forest.categoryPenalty > 0 ? tree.leavesUnderCategories : []
            for leaf in tree.leafValues.indices {
                let index = table.starts[number] + leaf
                let (gradient, hessian, rate) = (sums.gradients[index], sums.hessians[index], rates[number])
                var choices = [estimate.penalty]
                // LightGBM adds its penalty where it split on many categories, and not where it split one off; the file does not say which.
                if underCategories.indices.contains(leaf), underCategories[leaf] {
                    choices.append(estimate.penalty + forest.categoryPenalty)
                }
                let scale = rate * max(sums.magnitudes[index], Double(sums.counts[index]) * floor)
                let residuals = choices.map { penalty in
                    let numerator = abs(values[index] * (hessian + penalty) + rate * gradient)
                    return numerator <= 1e-12 * scale || scale == 0 && numerator <= 1e-12
                        ? 0 : numerator / max(scale, 1e-300)
                }
                let best = residuals.indices.min { residuals[$0] < residuals[$1] } ?? 0
                denominators[index] = hessian + choices[best]
                penalties[index] = choices[best]
                let residual = tree.isFitted ? residuals[best] : 0
                if worst.map({ !$0.residual.isNaN && !(residual <= $0.residual) }) ?? true {
                    worst = LeafMismatch(
                        tree: number, leaf: leaf, quantity: .value, expected: -rate * gradient / denominators[index],
                        found: values[index], residual: residual, tolerance: Self.tolerance)
                }
            }
        }
        if let worst, !(worst.residual <= Self.tolerance) {
            throw TreesError.notRebuilt(model: forest.file, rows: rows, worst)
        }
        self.forest = forest
        self.table = table
        self.values = values
        self.denominators = denominators
        self.penalties = penalties
        counts = sums.counts
        self.rates = rates
        self.rate = estimate.rate
        self.penalty = estimate.penalty
        self.isEstimated = isEstimated
        largestResidual = worst?.residual ?? 0
    }

    /// The raw predictions of rows whose leaves are known, the classes of a row side by side.
    public func rawPredictions(_ table: LeafTable) -> [Double] {
        var raw: [Double] = []
        raw.reserveCapacity(table.rows * outputs)
        for row in 0..<table.rows {
            var sums = base
            for tree in forest.trees.indices {
                sums[tree % outputs] += values[table.starts[tree] + table.leaf(of: row, in: tree)]
            }
            raw += sums
        }
        return raw
    }

    // MARK: Base, counts, estimates

    private static func base(of forest: Forest, labels blocks: [LeafTable.Block]) -> [Double] {
        guard case .averageOfLabels = forest.base else {
            if case .values(let values) = forest.base { return values }
            return []
        }
        let count = Double(blocks.reduce(0) { $0 + $1.rows })
        switch forest.loss {
        case .squared, .logistic:
            let mean = blocks.reduce(0) { $0 + $1.labels.reduce(0, +) } / count
            guard forest.loss == .logistic else { return [mean] }
            let share = min(max(mean, smallestShare), 1 - smallestShare)
            return [log(share / (1 - share))]
        case .softmax(let classes, _):
            var counts = [Double](repeating: 0, count: classes)
            for block in blocks { for label in block.labels { counts[Int(label)] += 1 } }
            return counts.map { log(max($0 / count, smallestShare)) }
        }
    }

    /// LightGBM's bound.
    private static let smallestShare = 1e-15

    private static func checkCounts(_ forest: Forest, _ sums: LeafSums, _ table: LeafTable, rows: String) throws {
        for (number, tree) in forest.trees.enumerated() {
            for leaf in tree.leafValues.indices {
                let index = table.starts[number] + leaf
                if let counts = tree.leafCounts, counts[leaf] != sums.counts[index] {
                    throw mismatch(.count, Double(sums.counts[index]), Double(counts[leaf]))
                }
                if let hessians = tree.leafHessians {
                    let (expected, found) = (sums.hessians[index], hessians[leaf])
                    let residual = abs(expected - found) / max(expected, 1e-6 * Double(sums.counts[index]), 1e-12)
                    guard residual <= hessianTolerance else { throw mismatch(.hessian, expected, found, residual) }
                }
                func mismatch(
                    _ quantity: LeafMismatch.Quantity, _ expected: Double, _ found: Double, _ residual: Double = 1
                ) -> TreesError {
                    .notRebuilt(
                        model: forest.file, rows: rows,
                        LeafMismatch(
                            tree: number, leaf: leaf, quantity: quantity, expected: expected, found: found,
                            residual: residual,
                            tolerance: quantity == .count ? 0 : hessianTolerance))
                }
            }
        }
    }

    private static let hessianTolerance = 5e-3

    /// Solves `v (H + λ) = -η G` over all leaves in the sense of least squares.
    private static func estimate(
        _ forest: Forest, _ values: [Double], _ sums: LeafSums, _ table: LeafTable, rate: Double?, penalty: Double?
    ) throws -> (rate: Double, penalty: Double) {
        if let rate, let penalty { return (rate, penalty) }
        var (vv, vg, gg, vvh, vgh) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for index in values.indices {
            let (v, g, h) = (values[index], sums.gradients[index], sums.hessians[index])
            vv += v * v
            vg += v * g
            gg += g * g
            vvh += v * v * h
            vgh += v * g * h
        }
        let estimate: (rate: Double, penalty: Double)
        if let rate {
            guard vv > 0 else { throw noEstimate("all leaves are 0") }
            estimate = (rate, (-vvh - rate * vg) / vv)
        } else if let penalty {
            guard gg > 0 else { throw noEstimate("all gradients are 0") }
            estimate = ((-vgh - penalty * vg) / gg, penalty)
        } else {
            let determinant = vv * gg - vg * vg
            guard determinant > 1e-9 * vv * gg else {
                throw noEstimate(
                    "all leaves have as many rows, or there is one leaf. Give both, as the training had them")
            }
            estimate = ((vg * vvh - vv * vgh) / determinant, (vg * vgh - gg * vvh) / determinant)
        }
        guard estimate.rate > 0, estimate.rate.isFinite, estimate.penalty > -penaltySlack, estimate.penalty.isFinite
        else {
            // Leaves that no rate and no penalty explain: the residual then says by how much.
            return (rate ?? 0.3, penalty ?? 1)
        }
        return (rate ?? rounded(estimate.rate), penalty ?? max(0, rounded(estimate.penalty)))

        func noEstimate(_ reason: String) -> TreesError { .noEstimate(model: forest.file, reason: reason) }
    }

    private static let penaltySlack = 1e-3

    /// The number with four digits that somebody will have given, if the estimate is as near to it as rounding allows.
    private static func rounded(_ estimate: Double) -> Double {
        let given = Double(String(format: "%.4g", estimate)) ?? estimate
        if abs(estimate) < 1e-5 { return 0 }
        return abs(given - estimate) <= 2e-5 * max(estimate, 0.01) ? given : estimate
    }
}

extension Forest {
    func replacing(_ trees: [Tree]) -> Forest {
        Forest(
            file: file, library: library, version: version, loss: loss, features: features, hasOwnNames: hasOwnNames,
            trees: trees, base: base, penalty: penalty, categoryPenalty: categoryPenalty)
    }
}

/// Sums over the rows in each leaf, at the predictions before its tree.
struct LeafSums: Sendable {
    var gradients: [Double]
    var hessians: [Double]
    /// Of |g|.
    var magnitudes: [Double]
    var counts: [Int]
    /// The mean |g| before the first tree.
    var firstGradient = 0.0

    private init(leaves: Int) {
        gradients = [Double](repeating: 0, count: leaves)
        hessians = gradients
        magnitudes = gradients
        counts = [Int](repeating: 0, count: leaves)
    }

    static func of(
        _ table: LeafTable, forest: Forest, base: [Double], values: [Double], workers: Workers,
        progress: @Sendable (Int, Int) throws -> Void
    ) throws -> LeafSums {
        let outputs = forest.outputs
        let partials = try workers.run { worker in
            var sums = LeafSums(leaves: values.count)
            for index in stride(from: worker, to: table.blocks.count, by: workers.count) {
                let block = table.blocks[index]
                var replay = Replay(block, forest: forest, base: base)
                for iteration in 0..<forest.iterations {
                    replay.activate()
                    for output in 0..<outputs {
                        let tree = iteration * outputs + output
                        sums.add(
                            block, means: replay.means, output: output, outputs: outputs, loss: forest.loss,
                            leaves: tree * block.rows, start: table.starts[tree], isFirst: iteration == 0)
                    }
                    replay.advance(iteration, values: values, starts: table.starts)
                }
                try progress(index + 1, table.blocks.count)
            }
            return sums
        }
        var total = LeafSums(leaves: values.count)
        for partial in partials {
            for index in values.indices {
                total.gradients[index] += partial.gradients[index]
                total.hessians[index] += partial.hessians[index]
                total.magnitudes[index] += partial.magnitudes[index]
                total.counts[index] += partial.counts[index]
            }
            total.firstGradient += partial.firstGradient
        }
        total.firstGradient /= Double(max(table.rows * outputs, 1))
        return total
    }

    private mutating func add(
        _ block: LeafTable.Block, means: [Double], output: Int, outputs: Int, loss: Loss, leaves: Int, start: Int,
        isFirst: Bool
    ) {
        for row in 0..<block.rows {
            let mean = means[row * outputs + output]
            let gradient = mean - loss.target(block.labels[row], output)
            let leaf = start + Int(block.leaves[leaves + row])
            gradients[leaf] += gradient
            hessians[leaf] += loss.hessian(mean)
            magnitudes[leaf] += abs(gradient)
            counts[leaf] += 1
            if isFirst { firstGradient += abs(gradient) }
        }
    }
}

/// The training of a block's rows again, from iteration to iteration.
struct Replay {
    private let block: LeafTable.Block
    private let loss: Loss
    private let outputs: Int
    /// The raw predictions before the iteration, the classes of a row side by side.
    private(set) var raw: [Double]
    /// Their means, after ``activate()``.
    private(set) var means: [Double]

    init(_ block: LeafTable.Block, forest: Forest, base: [Double]) {
        self.block = block
        loss = forest.loss
        outputs = forest.outputs
        raw = (0..<block.rows).flatMap { _ in base }
        means = raw
    }

    mutating func activate() {
        for index in raw.indices { means[index] = raw[index] }
        for row in 0..<block.rows { loss.activate(&means, at: row * outputs) }
    }

    /// Adds the trees of an iteration.
    mutating func advance(_ iteration: Int, values: [Double], starts: [Int]) {
        for output in 0..<outputs {
            let tree = iteration * outputs + output
            let start = starts[tree]
            for row in 0..<block.rows {
                raw[row * outputs + output] += values[start + Int(block.leaves[tree * block.rows + row])]
            }
        }
    }
}
