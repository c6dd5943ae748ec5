import Attribution
import Corpus
import Foundation
import JSON

/// A file with one query per line.
///
/// Lines end with a line feed, or a carriage return and a line feed. Blank lines and a leading byte order mark are ignored.
struct QueryFile {
    let path: String

    /// A line can set any field of a query. Fields that no query has, such as an expected answer, are ignored.
    ///
    /// - Parameters:
    ///   - defaults: The values of fields that a line does not set.
    ///   - hasRank: Whether their rank was asked for. Otherwise each line has the rank that is usual for its kind.
    /// - Throws: ``QueryFileError``.
    func queries(defaults: InfluenceQuery, hasRank: Bool = true) throws -> [InfluenceQuery] {
        guard case .object(var members) = try JSONTreeEncoder.tree(of: defaults) else { return [] }
        if !hasRank { members.removeAll { $0.name == "rank" } }
        return try lines { try query($0, defaults: .object(members)) }
    }

    /// The file's lines as the parts of one behaviour.
    ///
    /// - Throws: ``QueryFileError``.
    func behaviour() throws -> [BehaviourPart] {
        try lines { try JSONTreeDecoder(tree: Self.object($0)).decode(BehaviourPart.self) }
    }

    /// The file's messages: a JSON array, or an object with `messages`.
    ///
    /// - Throws: ``QueryFileError``.
    func chat() throws -> [JSONTree] {
        let bytes = Array(try bytes())
        let tree: JSONTree
        do {
            tree = try JSONReader.read(bytes)
        } catch {
            throw QueryFileError.unusableLine(
                file: name, line: error.line, reason: "the file is not JSON: \(error.reason)")
        }
        guard case .array(let messages) = tree["messages"] ?? tree else {
            throw QueryFileError.unusableLine(
                file: name, line: 1,
                reason:
                    "expected a list of messages like {\"role\": \"user\", \"content\": \"...\"}, found \(tree.shown)")
        }
        return messages
    }

    private func lines<Value>(_ read: ([UInt8]) throws -> Value) throws -> [Value] {
        let bytes = try bytes()
        if let format = ForeignFormat(head: bytes) { throw QueryFileError.foreignFormat(file: name, format) }
        var values: [Value] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            guard !line.allSatisfy(Self.isSpace) else { continue }
            do {
                values.append(try read(Array(line)))
            } catch {
                throw QueryFileError.unusableLine(
                    file: name, line: index + 1, reason: ErrorMessage(error).description)
            }
        }
        guard !values.isEmpty else { throw QueryFileError.empty(file: name) }
        return values
    }

    private var name: String { path == "-" ? "standard input" : path }

    private func bytes() throws -> ArraySlice<UInt8> {
        let data: Data
        do {
            data =
                path == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw QueryFileError.unreadable(file: name, reason: ErrorMessage(error).description)
        }
        let bytes = [UInt8](data)
        return bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func object(_ line: [UInt8]) throws -> JSONTree {
        let tree: JSONTree
        do {
            tree = try JSONReader.readLine(line)
        } catch {
            throw QueryError.failed(reason: "the line is not JSON: column \(error.column): \(error.reason)")
        }
        guard case .object = tree else {
            throw QueryError.failed(
                reason: "expected an object like {\"prompt\": \"...\", \"completion\": \"...\"}, found \(tree.shown)")
        }
        return tree
    }

    private func query(_ line: [UInt8], defaults: JSONTree) throws -> InfluenceQuery {
        guard case .object(let own) = try Self.object(line), case .object(var members) = defaults else {
            throw QueryError.failed(reason: "expected an object")
        }
        if own.contains(where: { ["measurement", "messages"].contains($0.name) }) {
            members.removeAll { Self.ofOneCompletion.contains($0.name) }
        }
        members.removeAll { Self.ofEachLine.contains($0.name) }
        for member in own where Self.ofEachLine.contains(member.name) || defaults[member.name] != nil {
            // Fields that an inner object does not set also come from the options.
            members.set(member.name, to: defaults[member.name]?.overlaid(with: member.value) ?? member.value)
        }
        return try JSONTreeDecoder(tree: .object(members)).decode(InfluenceQuery.self)
    }

    /// Fields that only a line can set.
    private static let ofEachLine =
        ["id", "damping", "measurement", "combine", "messages", "drop_turns", "rank"] + ofOneCompletion
    private static let ofOneCompletion = ["prompt", "completion", "spans", "contrast"]
}

extension JSONTree {
    /// An object whose members are replaced by another's members of the same name; any other value is replaced as a whole.
    fileprivate func overlaid(with other: JSONTree) -> JSONTree {
        guard case .object(var members) = self, case .object(let others) = other else { return other }
        for member in others { members.set(member.name, to: member.value) }
        return .object(members)
    }
}

extension [JSONTree.Member] {
    fileprivate mutating func set(_ name: String, to value: JSONTree) {
        removeAll { $0.name.hasSameBytes(as: name) }
        append(JSONTree.Member(name: name, value: value))
    }
}

enum QueryFileError: Error, Equatable, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case foreignFormat(file: String, ForeignFormat)
    case unusableLine(file: String, line: Int, reason: String)
    case empty(file: String)

    var description: String {
        switch self {
        case .unreadable(let file, let reason): "\(file): the file cannot be read: \(reason)"
        case .foreignFormat(let file, let format):
            "\(file): this is \(format.name), and not JSON lines with a query on each. Convert it."
        case .unusableLine(let file, let line, let reason): "\(file), line \(line): \(reason)"
        case .empty(let file): "\(file): there is no query in it"
        }
    }
}
