/// A model of gradient-boosted trees, as its file describes it.
public struct Forest: Sendable {
    /// The name of the file, for messages.
    public let file: String
    public let library: Library
    /// The library's version, if the file has it.
    public let version: String?
    public let loss: Loss
    public let features: [Feature]
    /// Whether the names of the features are the library's own numbering, because it was given none.
    public let hasOwnNames: Bool
    /// Iteration by iteration, the trees of an iteration in the order of their classes.
    public let trees: [Tree]
    /// The raw prediction before the first tree.
    public let base: Base
    /// The L2 penalty of leaf values, if the file has it.
    let penalty: Double?
    /// The penalty that LightGBM adds in the leaves under a split on many categories.
    let categoryPenalty: Double

    public enum Library: String, Sendable {
        case lightGBM = "LightGBM"
        case xgBoost = "XGBoost"
    }

    public enum Base: Sendable, Equatable {
        /// One value for each class.
        case values([Double])
        /// The first trees' leaves contain it, and it follows from the training labels.
        case averageOfLabels
    }

    public struct Feature: Sendable, Equatable {
        public let name: String
        /// The names of its categories, by their numbers; nil for a feature that is read as a number.
        public let categories: [String]?
    }

    /// The classes of an iteration.
    public var outputs: Int { loss.outputs }

    public var iterations: Int { trees.count / outputs }

    /// The number of leaves of all trees.
    public var leaves: Int { trees.reduce(0) { $0 + $1.leafValues.count } }

    /// The raw predictions of rows, for a model whose base is part of the file.
    ///
    /// - Parameter values: The rows' features, one row after the other.
    /// - Returns: For each row, the classes side by side.
    func rawPredictions(_ values: [Double], rows: Int, base: [Double]) -> [Double] {
        var raw: [Double] = []
        for row in 0..<rows {
            var sums = base
            for (index, tree) in trees.enumerated() {
                sums[index % outputs] += tree.leafValues[tree.leaf(of: values, from: row * features.count)]
            }
            raw += sums
        }
        return raw
    }
}
