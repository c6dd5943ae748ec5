import Foundation
import JSON

/// Scores that another program found, to be judged beside the estimators.
///
/// A JSON file of `{"name", "scores"}`: a row a query in the order of the evaluation's queries, a number a sequence in the
/// order of the corpus.
public struct GivenScores: Sendable, Codable, Equatable {
    public var name: String
    public var scores: [[Double]]

    public init(name: String, scores: [[Double]]) {
        self.name = name
        self.scores = scores
    }

    /// - Throws: ``GivenScoresError``.
    public init(path: String) throws {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw GivenScoresError.unreadable(path: path)
        }
        do {
            self = try JSONTreeDecoder.decode(GivenScores.self, from: data)
        } catch {
            throw GivenScoresError.notScores(path: path)
        }
    }

    func check(queries: Int, sequences: Int) throws {
        guard scores.count == queries else {
            throw GivenScoresError.wrongCount(name: name, of: "queries", expected: queries, found: scores.count)
        }
        for row in scores where row.count != sequences {
            throw GivenScoresError.wrongCount(name: name, of: "sequences", expected: sequences, found: row.count)
        }
    }
}

/// Why scores of another program cannot be judged.
public enum GivenScoresError: Error, Equatable, CustomStringConvertible {
    case unreadable(path: String)
    case notScores(path: String)
    case wrongCount(name: String, of: String, expected: Int, found: Int)

    public var description: String {
        switch self {
        case .unreadable(let path): "\(path): the file cannot be read"
        case .notScores(let path):
            "\(path): expected {\"name\": \"…\", \"scores\": [[…], …]}, a row of numbers a query"
        case .wrongCount(let name, let of, let expected, let found):
            "the scores of \(name) are of \(found) \(of); the evaluation has \(expected). Make them for the same queries and corpus."
        }
    }
}
