/// A decision tree: splits that end in leaves.
///
/// Invariant: every split and every leaf is reached from the root by exactly one path, so that a walk ends.
public struct Tree: Sendable, Equatable {
    /// A question about one feature; `left` and `right` are the numbers of splits, or `~leaf` if negative.
    struct Split: Sendable, Equatable {
        var feature: Int
        var rule: Rule
        /// The side of a missing value, for the rules that ask it.
        var missingGoesLeft: Bool
        var left: Int
        var right: Int
    }

    enum Rule: Sendable, Equatable {
        /// LightGBM: left if the value is at most the threshold.
        case atMost(Double, Missing)
        /// XGBoost: left if the value, rounded to a Float, is below the threshold.
        case below(Float)
        /// LightGBM: left if the value is one of the categories; anything else goes right.
        case oneOf(Categories)
        /// XGBoost: right if the value is one of the categories; anything else goes left, unless it is missing.
        case noneOf(Categories)
    }

    /// What counts as missing in LightGBM. A NaN that does not count as missing is taken for 0.
    enum Missing: Int, Sendable {
        case nothing = 0
        case zero, notANumber
    }

    let splits: [Split]
    /// What each leaf adds to the prediction; for LightGBM's first trees without the base score.
    public internal(set) var leafValues: [Double]
    /// The number of training rows in each leaf, if the file has it.
    let leafCounts: [Int]?
    /// The sum of second derivatives in each leaf, if the file has it.
    let leafHessians: [Double]?
    /// The factor of the Newton step in the leaves' values, if the file has it.
    var rate: Double?
    /// Whether the leaf's value is a Newton step. A tree of LightGBM without splits is not.
    let isFitted: Bool

    /// - Returns: `nil` if the numbers of children are no tree; `reason` then receives why.
    init?(
        splits: [Split], leafValues: [Double], leafCounts: [Int]? = nil, leafHessians: [Double]? = nil,
        rate: Double? = nil,
        isFitted: Bool, reason: inout String
    ) {
        var seenSplits = [Bool](repeating: false, count: splits.count)
        var seenLeaves = [Bool](repeating: false, count: leafValues.count)
        var pending = [splits.isEmpty ? ~0 : 0]
        while let node = pending.popLast() {
            let isLeaf = node < 0
            let index = isLeaf ? ~node : node
            guard index < (isLeaf ? leafValues.count : splits.count) else {
                reason =
                    "a child has the number \(node), and there are \(splits.count) splits and \(leafValues.count) leaves"
                return nil
            }
            guard !(isLeaf ? seenLeaves[index] : seenSplits[index]) else {
                reason = "\(isLeaf ? "leaf" : "split") \(index) is a child twice, or of itself"
                return nil
            }
            if isLeaf {
                seenLeaves[index] = true
            } else {
                seenSplits[index] = true
                pending += [splits[index].left, splits[index].right]
            }
        }
        guard !seenSplits.contains(false), !seenLeaves.contains(false) else {
            reason = "a split or a leaf is no child of any split"
            return nil
        }
        self.splits = splits
        self.leafValues = leafValues
        self.leafCounts = leafCounts
        self.leafHessians = leafHessians
        self.rate = rate
        self.isFitted = isFitted
    }

    /// The leaf of a row.
    ///
    /// - Parameters:
    ///   - values: The features of several rows, one row after the other.
    ///   - start: The index of the row's first feature.
    func leaf(of values: [Double], from start: Int) -> Int {
        guard !splits.isEmpty else { return 0 }
        var node = 0
        repeat {
            let split = splits[node]
            node = Self.goesLeft(values[start + split.feature], split) ? split.left : split.right
        } while node >= 0
        return ~node
    }

    private static func goesLeft(_ value: Double, _ split: Split) -> Bool {
        switch split.rule {
        case .atMost(let threshold, let missing):
            if value.isNaN {
                return missing == .notANumber || missing == .zero ? split.missingGoesLeft : 0 <= threshold
            }
            if missing == .zero, abs(value) <= zeroThreshold { return split.missingGoesLeft }
            return value <= threshold
        case .below(let threshold):
            return value.isNaN ? split.missingGoesLeft : Float(value) < threshold
        case .oneOf(let categories):
            return !value.isNaN && categories.contains(value)
        case .noneOf(let categories):
            return value.isNaN ? split.missingGoesLeft : !categories.contains(value)
        }
    }

    /// LightGBM takes smaller values for 0.
    private static let zeroThreshold = 1.0000000180025095e-35

    /// Whether each leaf is a child of a categorical split.
    var leavesUnderCategories: [Bool] {
        var found = [Bool](repeating: false, count: leafValues.count)
        for split in splits {
            guard case .oneOf = split.rule else { continue }
            for child in [split.left, split.right] where child < 0 { found[~child] = true }
        }
        return found
    }
}

/// A set of categories, which are whole numbers from 0. Its size in memory is that in the file.
enum Categories: Sendable, Equatable {
    /// LightGBM's form: bit `n % 32` of word `n / 32` is set for the category `n`.
    case bits([UInt32])
    /// XGBoost's form: the categories in rising order.
    case sorted([Int])

    func contains(_ value: Double) -> Bool {
        // Both libraries drop a value's fraction, and take a negative value for no category.
        guard value >= 0, value < Self.largest else { return false }
        let category = Int(value)
        switch self {
        case .bits(let words):
            return category / 32 < words.count && words[category / 32] >> UInt32(category % 32) & 1 == 1
        case .sorted(let members):
            var (low, high) = (0, members.count)
            while low < high {
                let middle = (low + high) / 2
                if members[middle] < category { low = middle + 1 } else { high = middle }
            }
            return low < members.count && members[low] == category
        }
    }

    private static let largest = 4_294_967_296.0
}
