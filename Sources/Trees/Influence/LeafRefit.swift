import Foundation
import LinearAlgebra

extension TrainedForest {
    /// LeafRefit (Sharchilev et al. 2018): the change of other rows' losses when each training row is removed and all leaves are computed again,
    /// with the structure of the trees and the base score held.
    ///
    /// The score is the loss without the row less the loss with it. Both are of leaves computed here, so that the library's rounding does not
    /// show. A leaf that loses its only row becomes 0 if there is no penalty.
    ///
    /// - Returns: The scores of all training rows for each test row; of each row on itself, in one list, for ``Explained/themselves``.
    ///   Positive: without the row, the loss is higher.
    /// - Complexity: O(rows² × trees), with an exponential for each in the logistic and softmax losses.
    public func leafRefit(
        on explained: Explained, workers: Workers = Workers(), progress: TreesProgress = { _, _ in }
    ) throws -> [[Double]] {
        let rows = AllRows(self)
        let loss = forest.loss
        let with = refit(rows, removing: [], explained)
        let labels: [Double] = if case .rows(let tests) = explained { tests.labels } else { rows.labels }
        let losses = labels.indices.map { index in
            loss.value((0..<outputs).map { with[index * outputs + $0][0] }, label: labels[index])
        }
        return try removals(explained, workers: workers, progress: progress) { removed, tests in
            let without = refit(rows, removing: removed, explained)
            if let tests {
                return (0..<tests.rows).map { test in
                    var lanes = Lanes.zero
                    for lane in removed.indices {
                        let raw = (0..<outputs).map { without[test * outputs + $0][lane] }
                        lanes[lane] = loss.value(raw, label: labels[test]) - losses[test]
                    }
                    return lanes
                }
            }
            var own = Lanes.zero
            for (lane, row) in removed.enumerated() {
                let raw = (0..<outputs).map { without[row * outputs + $0][lane] }
                own[lane] = loss.value(raw, label: labels[row]) - losses[row]
            }
            return [own]
        }
    }

    /// Computes all leaves again without the removed rows, each in its lane.
    ///
    /// - Returns: The raw predictions of the test rows, or of all training rows, the classes of a row side by side.
    private func refit(_ rows: AllRows, removing removed: [Int], _ explained: Explained) -> [Lanes] {
        let tests: LeafTable? = if case .rows(let tests) = explained { tests } else { nil }
        let start = base.map { Lanes(repeating: $0) }
        var raw = (0..<rows.count).flatMap { _ in start }
        var testRaw = (0..<(tests?.rows ?? 0)).flatMap { _ in start }
        var means = raw
        var isRemoved = [Int](repeating: -1, count: rows.count)
        for (lane, row) in removed.enumerated() { isRemoved[row] = lane }
        var gradients: [Lanes] = []
        var hessians: [Lanes] = []
        for iteration in 0..<forest.iterations {
            activate(raw, &means, rows: rows.count)
            for output in 0..<outputs {
                let tree = iteration * outputs + output
                let leafStart = table.starts[tree]
                let leafCount = table.leafCounts[tree]
                guard forest.trees[tree].isFitted else {
                    // Without splits there is one leaf.
                    for row in 0..<rows.count { raw[row * outputs + output] += values[leafStart] }
                    for test in 0..<(tests?.rows ?? 0) { testRaw[test * outputs + output] += values[leafStart] }
                    continue
                }
                let first = tree * rows.count
                gradients.removeAll(keepingCapacity: true)
                gradients.append(contentsOf: repeatElement(Lanes.zero, count: leafCount))
                hessians.removeAll(keepingCapacity: true)
                hessians.append(contentsOf: repeatElement(Lanes.zero, count: leafCount))
                for row in 0..<rows.count {
                    let mean = means[row * outputs + output]
                    var gradient = mean - forest.loss.target(rows.labels[row], output)
                    var hessian = Self.hessians(mean, forest.loss)
                    let lane = isRemoved[row]
                    if lane >= 0 {
                        gradient[lane] = 0
                        hessian[lane] = 0
                    }
                    let leaf = Int(rows.leaves[first + row])
                    gradients[leaf] += gradient
                    hessians[leaf] += hessian
                }
                for leaf in 0..<leafCount {
                    let denominator = hessians[leaf] + penalties[leafStart + leaf]
                    let step = -rates[tree] * gradients[leaf] / denominator
                    gradients[leaf] = step.replacing(with: 0, where: denominator .<= 0)
                }
                for row in 0..<rows.count { raw[row * outputs + output] += gradients[Int(rows.leaves[first + row])] }
                for test in 0..<(tests?.rows ?? 0) {
                    testRaw[test * outputs + output] += gradients[tests?.leaf(of: test, in: tree) ?? 0]
                }
            }
        }
        return tests == nil ? raw : testRaw
    }

    private static func hessians(_ mean: Lanes, _ loss: Loss) -> Lanes {
        var hessians = Lanes.zero
        for lane in 0..<Lanes.scalarCount { hessians[lane] = loss.hessian(mean[lane]) }
        return hessians
    }

    private func activate(_ raw: [Lanes], _ means: inout [Lanes], rows: Int) {
        switch forest.loss {
        case .squared: for index in raw.indices { means[index] = raw[index] }
        case .logistic:
            for index in raw.indices {
                var mean = Lanes.zero
                for lane in 0..<Lanes.scalarCount { mean[lane] = Loss.sigmoid(raw[index][lane]) }
                means[index] = mean
            }
        case .softmax(let classes, _):
            for row in 0..<rows {
                let start = row * classes
                var largest = raw[start]
                for output in 1..<classes { largest = pointwiseMax(largest, raw[start + output]) }
                var sum = Lanes.zero
                for output in 0..<classes {
                    let shifted = raw[start + output] - largest
                    var mean = Lanes.zero
                    for lane in 0..<Lanes.scalarCount { mean[lane] = exp(shifted[lane]) }
                    means[start + output] = mean
                    sum += mean
                }
                for output in 0..<classes { means[start + output] /= sum }
            }
        }
    }
}
