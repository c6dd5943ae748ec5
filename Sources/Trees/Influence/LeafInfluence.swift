import LinearAlgebra

/// The rows whose loss is explained.
public enum Explained: Sendable {
    /// Other rows, by their leaves and labels.
    case rows(LeafTable)
    /// Each training row itself: there is one score for each.
    case themselves
}

/// Several removed rows at once, in the lanes of a vector.
typealias Lanes = SIMD8<Double>

extension TrainedForest {
    /// LeafInfluence (Sharchilev et al. 2018): the derivative of other rows' losses by each training row's weight, through every later tree.
    ///
    /// The structure of the trees and the base score are held. With J the derivatives of the training rows' predictions, from 0, for each
    /// leaf j:
    ///
    ///     dv_j = -η ( [i in j] (g_i + h_i v/η) + Σ over rows r in j of J_r (∂g_r + ∂h_r v/η) ) / (H + λ),   J_r += dv_j
    ///
    /// The score is -Σ g(x) dF(x), with the gradient at the final prediction. In softmax, every class's g and h depend on the predictions of all
    /// classes; the published formula takes h for ∂g and has no terms between classes, so that it differs there.
    ///
    /// - Returns: The scores of all training rows for each test row; of each row on itself, in one list, for ``Explained/themselves``.
    ///   Positive: the row lowers the loss.
    /// - Complexity: O(rows² × trees).
    public func leafInfluence(
        on explained: Explained, formula: Formula = .exact, workers: Workers = Workers(),
        progress: TreesProgress = { _, _ in }
    ) throws -> [[Double]] {
        let rows = AllRows(self)
        let steps = LeafSteps(self, rows, formula)
        let gradients: [[Double]] =
            switch explained {
            case .rows(let tests): lossGradients(rawPredictions(tests), labels: tests.labels)
            case .themselves: lossGradients(rawPredictions(table), labels: rows.labels)
            }
        return try removals(explained, workers: workers, progress: progress) { lanes, tests in
            var changes = [Lanes](repeating: .zero, count: rows.count * outputs)  // J, rows × classes
            var testChanges = [Lanes](repeating: .zero, count: (tests?.rows ?? 0) * outputs)
            steps.run(self, rows, removing: lanes, changes: &changes, testChanges: &testChanges, tests: tests)
            if let tests {
                return (0..<tests.rows).map { test in
                    (0..<outputs).reduce(Lanes.zero) { $0 - gradients[test][$1] * testChanges[test * outputs + $1] }
                }
            }
            var own = Lanes.zero
            for (lane, row) in lanes.enumerated() {
                for output in 0..<outputs {
                    own[lane] -= gradients[row][output] * changes[row * outputs + output][lane]
                }
            }
            return [own]
        }
    }

    /// Calls the body for each eight training rows, and puts its lanes in the order of the rows.
    ///
    /// - Parameter body: Returns a vector for each test row, or one for the removed rows themselves.
    func removals(
        _ explained: Explained, workers: Workers, progress: TreesProgress,
        _ body: @Sendable (_ removed: [Int], _ tests: LeafTable?) throws -> [Lanes]
    ) throws -> [[Double]] {
        let tests: LeafTable? = if case .rows(let tests) = explained { tests } else { nil }
        let batches = (rows + Lanes.scalarCount - 1) / Lanes.scalarCount
        let results = try workers.map(0..<batches) { _, batch in
            let start = batch * Lanes.scalarCount
            let removed = Array(start..<min(start + Lanes.scalarCount, rows))
            let lanes = try body(removed, tests)
            try progress(removed.count + start, rows)
            return lanes
        }
        return (0..<(tests?.rows ?? 1)).map { test in
            (0..<rows).map { results[$0 / Lanes.scalarCount][test][$0 % Lanes.scalarCount] }
        }
    }

    /// The gradients of losses by the final raw predictions.
    private func lossGradients(_ raw: [Double], labels: [Double]) -> [[Double]] {
        labels.indices.map {
            forest.loss.gradient(Array(raw[$0 * outputs..<($0 + 1) * outputs]), label: labels[$0])
        }
    }
}

/// The training rows side by side, for passes over all of them at once.
struct AllRows: Sendable {
    let count: Int
    let labels: [Double]
    /// The leaf of row `r` in tree `t` is at `t * count + r`.
    let leaves: [UInt16]

    init(_ trained: TrainedForest) {
        count = trained.rows
        labels = trained.table.labels
        var leaves: [UInt16] = []
        leaves.reserveCapacity(count * trained.forest.trees.count)
        for tree in trained.forest.trees.indices {
            for block in trained.table.blocks { leaves += block.leaves[tree * block.rows..<(tree + 1) * block.rows] }
        }
        self.leaves = leaves
    }
}

/// The parts of LeafInfluence's equation that do not depend on the removed row.
private struct LeafSteps: Sendable {
    /// g + h v/η of each tree and row.
    private var own: [Double] = []
    /// What J is multiplied by, of each tree and row.
    private var weights: [Double] = []
    /// The means of each iteration, rows × classes; only where classes act on each other.
    private var means: [Double] = []
    private let areClassesCoupled: Bool

    init(_ trained: TrainedForest, _ rows: AllRows, _ formula: Formula) {
        let (forest, loss, outputs) = (trained.forest, trained.forest.loss, trained.outputs)
        if case .softmax = loss { areClassesCoupled = formula == .exact } else { areClassesCoupled = false }
        own = [Double](repeating: 0, count: forest.trees.count * rows.count)
        weights = own
        if areClassesCoupled { means.reserveCapacity(own.count) }
        var raw = (0..<rows.count).flatMap { _ in trained.base }
        for iteration in 0..<forest.iterations {
            var now = raw
            for row in 0..<rows.count { loss.activate(&now, at: row * outputs) }
            if areClassesCoupled { means += now }
            for output in 0..<outputs {
                let tree = iteration * outputs + output
                for row in 0..<rows.count {
                    let index = tree * rows.count + row
                    let value = trained.values[trained.table.starts[tree] + Int(rows.leaves[index])]
                    let step = value / trained.rates[tree]
                    let mean = now[row * outputs + output]
                    let hessian = loss.hessian(mean)
                    own[index] = mean - loss.target(rows.labels[row], output) + hessian * step
                    if areClassesCoupled, case .softmax(_, let factor) = loss {
                        weights[index] = mean * (1 + factor * (1 - 2 * mean) * step)
                    } else {
                        weights[index] = hessian + loss.third(mean) * step
                    }
                    raw[row * outputs + output] += value
                }
            }
        }
    }

    /// Adds up the derivatives for the removed rows, each in its lane.
    ///
    /// The rows are removed by their weight, so that the result is the derivative by the weight and not by its loss.
    func run(
        _ trained: TrainedForest, _ rows: AllRows, removing removed: [Int], changes: inout [Lanes],
        testChanges: inout [Lanes],
        tests: LeafTable?
    ) {
        let (forest, outputs) = (trained.forest, trained.outputs)
        var shared = [Lanes](repeating: .zero, count: areClassesCoupled ? rows.count : 0)
        var sums: [Lanes] = []
        for iteration in 0..<forest.iterations {
            if areClassesCoupled {
                let start = iteration * rows.count * outputs
                for row in 0..<rows.count {
                    var sum = Lanes.zero
                    for output in 0..<outputs {
                        sum += means[start + row * outputs + output] * changes[row * outputs + output]
                    }
                    shared[row] = sum
                }
            }
            for output in 0..<outputs {
                let tree = iteration * outputs + output
                guard forest.trees[tree].isFitted else { continue }
                let leafStart = trained.table.starts[tree]
                let leafCount = trained.table.leafCounts[tree]
                let start = tree * rows.count
                sums.removeAll(keepingCapacity: true)
                sums.append(contentsOf: repeatElement(Lanes.zero, count: leafCount))
                if areClassesCoupled {
                    for row in 0..<rows.count {
                        sums[Int(rows.leaves[start + row])] +=
                            weights[start + row] * (changes[row * outputs + output] - shared[row])
                    }
                } else {
                    for row in 0..<rows.count {
                        sums[Int(rows.leaves[start + row])] += weights[start + row] * changes[row * outputs + output]
                    }
                }
                for (lane, row) in removed.enumerated() {
                    sums[Int(rows.leaves[start + row])][lane] += own[start + row]
                }
                for leaf in 0..<leafCount {
                    sums[leaf] *= -trained.rates[tree] / trained.denominators[leafStart + leaf]
                }
                for row in 0..<rows.count { changes[row * outputs + output] += sums[Int(rows.leaves[start + row])] }
                for test in 0..<(tests?.rows ?? 0) {
                    testChanges[test * outputs + output] += sums[tests?.leaf(of: test, in: tree) ?? 0]
                }
            }
        }
    }
}
