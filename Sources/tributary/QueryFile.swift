import Attribution
import Corpus
import Foundation
import JSON

/// A file with a query a line.
struct QueryFile {
    let path: String

    /// The file's queries.
    ///
    /// A line may set any field of a query; fields that no query has, such as an expected answer, are passed over.
    ///
    /// - Parameter defaults: What lines leave open.
    /// - Throws: ``QueryFileError``.
    func queries(defaults: InfluenceQuery) throws -> [InfluenceQuery] {
        let text = try text()
        let defaults = try Self.members(of: JSONEncoder().encode(defaults)) ?? [:]
        var queries: [InfluenceQuery] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            do {
                queries.append(try query(Data(line.utf8), defaults: defaults))
            } catch {
                throw QueryFileError.unusableLine(
                    file: name, line: index + 1, reason: ErrorMessage(error).description)
            }
        }
        guard !queries.isEmpty else { throw QueryFileError.empty(file: name) }
        return queries
    }

    private var name: String { path == "-" ? "standard input" : path }

    private func text() throws -> String {
        let data: Data
        do {
            data =
                path == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw QueryFileError.unreadable(file: name, reason: ErrorMessage(error).description)
        }
        guard let text = String(validating: data, as: UTF8.self) else { throw QueryFileError.notUTF8(file: name) }
        return text
    }

    private func query(_ line: Data, defaults: [String: JSONValue]) throws -> InfluenceQuery {
        guard let own = try Self.members(of: line) else {
            throw QueryError.failed(reason: "expected an object like {\"prompt\": \"...\", \"completion\": \"...\"}")
        }
        var members = defaults
        for name in ["id", "prompt", "completion"] { members[name] = own[name] }
        for (name, value) in own where defaults[name] != nil || Self.withoutDefault.contains(name) {
            // What an inner object leaves open, too, comes from the options.
            if case .object(let inner) = value, case .object(let outer)? = defaults[name] {
                members[name] = .object(outer.merging(inner) { $1 })
            } else {
                members[name] = value
            }
        }
        return try JSONDecoder().decode(InfluenceQuery.self, from: JSONEncoder().encode(members))
    }

    /// Fields of a query that are absent unless they are given.
    private static let withoutDefault: Set = ["damping", "spans", "contrast"]

    /// The members of a JSON object; `nil` for JSON of another kind.
    private static func members(of json: Data) throws -> [String: JSONValue]? {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: json) else {
            throw QueryError.failed(reason: "the line is not JSON")
        }
        guard case .object(let members) = value else { return nil }
        return members
    }
}

/// Why a file of queries cannot be used.
enum QueryFileError: Error, Equatable, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case notUTF8(file: String)
    case unusableLine(file: String, line: Int, reason: String)
    case empty(file: String)

    var description: String {
        switch self {
        case .unreadable(let file, let reason): "\(file): the file cannot be read: \(reason)"
        case .notUTF8(let file): "\(file): the file is not UTF-8. Convert it."
        case .unusableLine(let file, let line, let reason): "\(file), line \(line): \(reason)"
        case .empty(let file): "\(file): there is no query in it"
        }
    }
}
