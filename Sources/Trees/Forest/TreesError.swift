import Foundation

/// Why a model, or the rows beside it, cannot be used.
public enum TreesError: Error, Equatable, Sendable {
    case unreadable(file: String, reason: String)
    /// The file is not a model that can be read, such as a pickle.
    case foreign(file: String, found: String, advice: String)
    /// The file contradicts its format. `line` is nil in a format without lines.
    case malformed(file: String, line: Int?, field: String, expected: String, found: String)
    /// The model was trained in a way that the methods do not describe.
    case unsupported(file: String, field: String, expected: String, found: String)
    /// A row cannot be used. `line` is nil in a format without lines.
    case badRow(file: String, row: Int, line: Int?, column: String, expected: String, found: String)
    case badColumns(file: String, expected: String, found: String)
    case tooMany(file: String, what: String, limit: Int)
    /// The model's leaves cannot be computed again from the training rows.
    case notRebuilt(model: String, rows: String, LeafMismatch)
    /// The rate and the penalty do not follow from the model and the rows.
    case noEstimate(model: String, reason: String)
    case notConverged(reason: String)
}

/// The leaf that differs most from what the training rows make of it.
public struct LeafMismatch: Equatable, Sendable {
    /// From 0, in the order of the file.
    public let tree: Int
    public let leaf: Int
    public let quantity: Quantity
    public let expected: Double
    public let found: Double
    /// The relative residual, see ``TrainedForest/largestResidual``; at most `tolerance` for a model that is accepted.
    public let residual: Double
    public let tolerance: Double

    public enum Quantity: String, Equatable, Sendable {
        case value, count, hessian
    }
}

extension TreesError: CustomStringConvertible, LocalizedError {
    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file): the file cannot be read: \(reason)"
        case .foreign(let file, let found, let advice):
            "\(file): this is \(found), not a LightGBM text model or an XGBoost JSON or UBJSON model. \(advice)"
        case .malformed(let file, let line, let field, let expected, let found):
            "\(file)\(line.map { ":\($0)" } ?? ""): \(field): expected \(expected), found \(found)"
        case .unsupported(let file, let field, let expected, let found):
            "\(file): \(field): expected \(expected), found \(found). The influence of rows on such a model is not known; train it "
                + "without, as a plain booster of Newton steps."
        case .badRow(let file, let row, let line, let column, let expected, let found):
            (line.map { "\(file):\($0)" } ?? "\(file), row \(row)")
                + ": \"\(column)\": expected \(expected), found \(found)"
        case .badColumns(let file, let expected, let found):
            "\(file): expected \(expected), found \(found)"
        case .tooMany(let file, let what, let limit):
            "\(file): there are more than \(limit) \(what)"
        case .notRebuilt(let model, let rows, let mismatch):
            "\(rows): these are not the rows that \(model) was trained on, or it was not trained with plain Newton steps: "
                + "\(mismatch). Give the training rows as they were, without weights, or train without sampling and without L1."
        case .noEstimate(let model, let reason):
            "\(model): the learning rate and the L2 penalty cannot be estimated: \(reason)"
        case .notConverged(let reason):
            "the representer model: \(reason)"
        }
    }
}

extension LeafMismatch: CustomStringConvertible {
    public var description: String {
        let noun =
            switch quantity {
            case .value: "a value of"
            case .count: "a number of rows of"
            case .hessian: "a sum of second derivatives of"
            }
        let residual =
            quantity == .count
            ? "" : ", a residual of \(Self.text(self.residual)) where \(Self.text(tolerance)) is allowed"
        return
            "leaf \(leaf) of tree \(tree) has \(noun) \(Self.text(found)), and the rows give \(Self.text(expected))\(residual)"
    }

    private static func text(_ value: Double) -> String { String(format: "%.6g", value) }
}
