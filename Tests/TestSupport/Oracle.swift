import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// A model with the factors, and the scores of queries against a corpus, that another implementation, kronfluence, computed from it.
///
/// Fixtures/oracle/README.md says how each number is defined. The environment variable TRIBUTARY_ORACLE names a further folder of
/// the same layout, such as one of larger models, for the same tests.
public struct Oracle: Sendable, CustomStringConvertible {
    public let name: String
    let root: String

    public static let all: [Oracle] = {
        let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/oracle").path
        let roots = [fixtures] + [ProcessInfo.processInfo.environment["TRIBUTARY_ORACLE"]].compactMap { $0 }
        return roots.flatMap { root in ["tiny-gpt2", "tiny-llama"].map { Oracle(name: $0, root: root) } }
    }()

    public var description: String { name }
    public var modelFolder: String { "\(root)/\(name)/model" }
    public var factorFolder: String { "\(root)/\(name)/factors-empirical" }

    public func checkpoint() throws -> Checkpoint { try Checkpoint(folder: modelFolder) }

    public func array(_ file: String) throws -> NumPyFile {
        try NumPyFile(path: "\(root)/\(name)/expected/\(file).npy")
    }

    public func tensors(_ file: String) throws -> SafetensorsFile {
        try SafetensorsFile(path: "\(root)/\(name)/expected/\(file).safetensors")
    }

    /// A three-dimensional or flat list of scores, one list per query.
    public func scores(_ file: String, tensor: String = "scores") throws -> [[Double]] {
        let values = try tensors(file).doubles(named: tensor)
        let queries = try queries().count
        let width = values.count / queries
        return (0..<queries).map { Array(values[($0 * width)..<(($0 + 1) * width)]) }
    }

    /// The corpus's texts, in order.
    public func texts() throws -> [String] {
        try lines("corpus").map { try JSONDecoder().decode(Row.self, from: $0).text }
    }

    /// The oracle's token ids.
    public func sequences() throws -> [[Int32]] {
        try cut(array("train_input_ids"), lengths: array("train_lengths"))
    }

    public func queries() throws -> [(prompt: String, completion: String)] {
        try lines("queries").map {
            let row = try JSONDecoder().decode(QueryRow.self, from: $0)
            return (row.prompt, row.completion)
        }
    }

    /// Each query's tokens, and the index of its completion's first token.
    public func queryTokens() throws -> [(tokens: [Int32], completionStart: Int)] {
        let ids = try cut(array("query_input_ids"), lengths: array("query_lengths"))
        return zip(ids, try array("query_labels").rows).map { tokens, labels in
            (tokens, labels.firstIndex { $0 >= 0 } ?? 0)
        }
    }

    /// Labels drawn once and pinned, one list per sequence; -100 at positions without loss.
    public func pinnedLabels(_ file: String) throws -> [[Int32]] {
        try array(file).rows.map { $0.map { Int32($0) } }
    }

    private struct Row: Decodable { let text: String }
    private struct QueryRow: Decodable {
        let prompt: String
        let completion: String
    }

    private func lines(_ file: String) throws -> [Data] {
        try String(contentsOfFile: "\(root)/\(file).jsonl", encoding: .utf8).split(separator: "\n").map {
            Data($0.utf8)
        }
    }

    private func cut(_ ids: NumPyFile, lengths: NumPyFile) -> [[Int32]] {
        zip(ids.rows, lengths.values).map { row, length in row.prefix(Int(length)).map { Int32($0) } }
    }
}
