import Foundation
import LinearAlgebra

/// The formula of a method: the exact derivative, or what the authors published where that differs.
public enum Formula: Sendable { case exact, published }

/// What is told of long work: the number of steps done and of all. What it throws ends the work.
public typealias TreesProgress = @Sendable (_ done: Int, _ total: Int) throws -> Void

extension TrainedForest {
    /// BoostIn (Brophy, Hammoudeh and Lowd 2023): the effect of each training row on the loss of other rows through the leaves that they share.
    ///
    ///     score(i, x) = Σ over trees with leaf(i) = leaf(x) of g(x) · η (g_i + (v/η) h_i) / (H + λ)
    ///
    /// with the gradients before each tree. This is the derivative of a leaf's value by the row's weight; the published formula has `v`
    /// where the derivative has `v/η`.
    ///
    /// - Parameter tests: The leaves and labels of the rows to explain.
    /// - Returns: The scores of all training rows for each test row. Positive: the row lowers the loss of the test row.
    /// - Complexity: O(rows × trees), for all test rows together; and for each test row, of the rows in its leaves.
    public func boostIn(
        on tests: LeafTable, formula: Formula = .exact, workers: Workers = Workers(),
        progress: TreesProgress = { _, _ in }
    ) throws -> [[Double]] {
        let targets = BoostInTargets(self, tests)
        let partials = try workers.map(0..<table.blocks.count) { _, index in
            let scores =
                switch forest.loss {
                case .squared, .logistic: singleScores(table.blocks[index], targets, formula)
                case .softmax: classScores(table.blocks[index], targets, formula)
                }
            try progress(index + 1, table.blocks.count)
            return scores
        }
        return (0..<tests.rows).map { test in
            var scores: [Double] = []
            scores.reserveCapacity(rows)
            for (block, partial) in zip(table.blocks, partials) {
                scores += partial[test * block.rows..<(test + 1) * block.rows]
            }
            return scores
        }
    }

    /// BoostIn of each training row on itself. Rows with wrong labels have large values.
    public func boostInOnSelf(
        formula: Formula = .exact, workers: Workers = Workers(), progress: TreesProgress = { _, _ in }
    ) throws -> [Double] {
        try workers.map(0..<table.blocks.count) { _, index in
            let block = table.blocks[index]
            var replay = Replay(block, forest: forest, base: base)
            var scores = [Double](repeating: 0, count: block.rows)
            for iteration in 0..<forest.iterations {
                replay.activate()
                for output in 0..<outputs {
                    let tree = iteration * outputs + output
                    guard forest.trees[tree].isFitted else { continue }
                    let step = 1 / (formula == .exact ? rates[tree] : 1)
                    for row in 0..<block.rows {
                        let mean = replay.means[row * outputs + output]
                        let gradient = mean - forest.loss.target(block.labels[row], output)
                        let leaf = table.starts[tree] + Int(block.leaves[tree * block.rows + row])
                        scores[row] +=
                            gradient * rates[tree] * (gradient + values[leaf] * step * forest.loss.hessian(mean))
                            / denominators[leaf]
                    }
                }
                replay.advance(iteration, values: values, starts: table.starts)
            }
            try progress(index + 1, table.blocks.count)
            return scores
        }.flatMap { $0 }
    }

    // MARK: A block of training rows

    /// The scores of a model with one output: (tests × rows), test by test.
    private func singleScores(_ block: LeafTable.Block, _ targets: BoostInTargets, _ formula: Formula) -> [Double] {
        let count = block.rows
        let isLogistic = forest.loss == .logistic
        var raw = [Double](repeating: base[0], count: count)
        var scores = [Double](repeating: 0, count: targets.tests * count)
        for tree in forest.trees.indices {
            let start = table.starts[tree]
            let leaves = tree * count
            let step = 1 / (formula == .exact ? rates[tree] : 1)
            for row in 0..<count {
                let leaf = start + Int(block.leaves[leaves + row])
                let before = raw[row]
                let value = values[leaf]
                raw[row] = before + value
                let first = targets.firsts[leaf]
                guard first >= 0 else { continue }
                let mean = isLogistic ? Loss.sigmoid(before) : before
                let change =
                    rates[tree] * (mean - block.labels[row] + value * step * forest.loss.hessian(mean))
                    / denominators[leaf]
                for entry in first..<targets.lasts[leaf] {
                    scores[targets.entries[entry].test * count + row] += targets.entries[entry].gradient * change
                }
            }
        }
        return scores
    }

    /// The same for a model with several classes.
    private func classScores(_ block: LeafTable.Block, _ targets: BoostInTargets, _ formula: Formula) -> [Double] {
        let count = block.rows
        var replay = Replay(block, forest: forest, base: base)
        var scores = [Double](repeating: 0, count: targets.tests * count)
        for iteration in 0..<forest.iterations {
            replay.activate()
            for output in 0..<outputs {
                let tree = iteration * outputs + output
                let step = 1 / (formula == .exact ? rates[tree] : 1)
                for row in 0..<count {
                    let leaf = table.starts[tree] + Int(block.leaves[tree * count + row])
                    let first = targets.firsts[leaf]
                    guard first >= 0 else { continue }
                    let mean = replay.means[row * outputs + output]
                    let change =
                        rates[tree]
                        * (mean - forest.loss.target(block.labels[row], output) + values[leaf] * step
                            * forest.loss.hessian(mean))
                        / denominators[leaf]
                    for entry in first..<targets.lasts[leaf] {
                        scores[targets.entries[entry].test * count + row] += targets.entries[entry].gradient * change
                    }
                }
            }
            replay.advance(iteration, values: values, starts: table.starts)
        }
        return scores
    }
}

/// The test rows in each leaf, with their gradients before the leaf's tree.
private struct BoostInTargets: Sendable {
    struct Entry: Sendable {
        let test: Int
        let gradient: Double
    }

    let tests: Int
    private(set) var entries: [Entry] = []
    /// The index of each leaf's first entry; -1 for a leaf without entries.
    private(set) var firsts: [Int]
    /// The index after each leaf's last entry.
    private(set) var lasts: [Int]

    init(_ trained: TrainedForest, _ tests: LeafTable) {
        self.tests = tests.rows
        firsts = [Int](repeating: -1, count: trained.values.count)
        lasts = firsts
        let (forest, outputs) = (trained.forest, trained.outputs)
        var raw = (0..<tests.rows).flatMap { _ in trained.base }
        for iteration in 0..<forest.iterations {
            var means = raw
            for test in 0..<tests.rows { forest.loss.activate(&means, at: test * outputs) }
            for output in 0..<outputs {
                let tree = iteration * outputs + output
                let start = trained.table.starts[tree]
                let leaves = (0..<tests.rows).map { tests.leaf(of: $0, in: tree) }
                for test in leaves.indices { raw[test * outputs + output] += trained.values[start + leaves[test]] }
                // A tree that is no Newton step does not depend on the rows.
                guard forest.trees[tree].isFitted else { continue }
                for test in leaves.indices.sorted(by: { leaves[$0] < leaves[$1] }) {
                    let leaf = start + leaves[test]
                    if firsts[leaf] < 0 { firsts[leaf] = entries.count }
                    entries.append(
                        Entry(
                            test: test,
                            gradient: means[test * outputs + output] - forest.loss.target(tests.label(of: test), output)
                        ))
                    lasts[leaf] = entries.count
                }
            }
        }
    }
}
