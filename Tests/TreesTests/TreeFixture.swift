import Foundation
import JSON
import LinearAlgebra

@testable import Trees

/// The models and rows that `scripts/fixtures/trees.py` makes.
struct TreeFixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    /// The cases with scores to compare with: three losses of both libraries, with and without missing values and categories.
    static let scored = ["lightgbm", "xgboost"].flatMap { library in
        ["logistic", "squared", "softmax", "mixed-logistic", "mixed-squared", "mixed-softmax"].map {
            "\(library)-\($0)"
        }
    }
    /// The cases with predictions alone.
    static let others = [
        "lightgbm-constant", "lightgbm-no-average", "lightgbm-category-penalty", "lightgbm-constant-class",
        "xgboost-constant",
        "xgboost-half-constant",
    ]

    let name: String
    let forest: Forest
    let train: LeafTable
    let tests: LeafTable
    private let expected: JSONTree

    init(_ name: String, model: String? = nil) throws {
        self.name = name
        forest = try Self.forest(name, model: model)
        train = try Self.table(name + "/train.csv", forest)
        tests = try Self.table(name + "/rows.csv", forest)
        expected = try JSONReader.read(Self.bytes(name + "/expected.json"))
    }

    func trained(_ workers: Workers = Workers(count: 2)) throws -> TrainedForest {
        try TrainedForest(forest, table: train, rows: "train.csv", workers: workers)
    }

    /// A list of numbers, or a list of lists as one.
    func expected(_ name: String) throws -> [Double] {
        func numbers(_ tree: JSONTree?) -> [Double] {
            switch tree {
            case .array(let elements)?: elements.flatMap { numbers($0) }
            case .number(let digits)?: [Double(digits) ?? .nan]
            default: []
            }
        }
        return numbers(expected[name])
    }

    static func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static func model(of name: String) -> String { name.contains("lightgbm") ? "model.txt" : "model.json" }

    static func forest(_ name: String, model: String? = nil) throws -> Forest {
        try ModelReader.read(
            path: path("\(name)/\(model ?? self.model(of: name))"), name: model ?? self.model(of: name))
    }

    static func table(_ name: String, _ forest: Forest) throws -> LeafTable {
        let reader = try RowReader(path: path(name), name: "rows", target: "target", forest: forest)
        return try LeafTable.read(reader, forest: forest, workers: Workers(count: 2))
    }
}

/// Rows in a file that is removed with this value.
final class TemporaryFile {
    let path: String

    init(_ text: String, named name: String = "rows.csv") throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appendingPathComponent(name).path
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    deinit { try? FileManager.default.removeItem(at: URL(fileURLWithPath: path).deletingLastPathComponent()) }
}

extension [Double] {
    /// The largest difference, as a share of the largest expected value.
    func distance(from expected: [Double]) -> Double {
        guard count == expected.count, !isEmpty else { return .infinity }
        let largest = expected.reduce(0) { Swift.max($0, abs($1)) }
        let difference = zip(self, expected).reduce(0) { Swift.max($0, abs($1.0 - $1.1)) }
        return difference.isNaN ? .infinity : largest > 0 ? difference / largest : difference
    }
}
