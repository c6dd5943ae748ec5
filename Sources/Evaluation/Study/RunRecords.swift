import Dispatch
import Files
import Foundation
import JSON
import Synchronization

/// The finished parts of a long run, kept in a file as they are found, so that an interrupted run continues where it stopped.
///
/// The file has JSON lines: the first is the run's ``RunIdentity``, each further one `{"key", "value"}`. A line is synced before
/// ``append(_:_:)`` returns. A line that a crash cut short is dropped when the file is opened again. One that a full disk cut short is
/// dropped at once.
public final class RunRecords<Record: Codable & Sendable>: Sendable {
    /// Guards the records and the turn to write. Nobody writes or waits while it is locked.
    private let state: Mutex<State>
    /// Guards the handing over of the file. The thread that has the turn to write takes it; `nil` for records in memory.
    private let file: Mutex<GrowingFile?>

    private struct State {
        var records: [String: Record] = [:]
        var isWriting = false
        /// The threads that wait for the end of the write under way.
        var waiting: [DispatchSemaphore] = []

        /// - Returns: What to wait for before trying again, if another thread has the turn.
        mutating func beginWrite() -> DispatchSemaphore? {
            guard isWriting else {
                isWriting = true
                return nil
            }
            let semaphore = DispatchSemaphore(value: 0)
            waiting.append(semaphore)
            return semaphore
        }

        /// - Returns: The threads that wait for the turn to write.
        mutating func endWrite() -> [DispatchSemaphore] {
            defer { waiting = [] }
            isWriting = false
            return waiting
        }
    }

    private struct Line: Codable {
        var key: String
        var value: Record
    }

    /// Opens the records of a run, or begins them.
    ///
    /// - Parameter path: `nil` to keep the records in memory.
    /// - Throws: ``RunRecordsError/otherRun(path:differences:)`` if the file belongs to another run.
    public init(path: String?, identity: RunIdentity) throws {
        var records: [String: Record] = [:]
        if let path, FileManager.default.fileExists(atPath: path) {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let whole = data.lastIndex(of: UInt8(ascii: "\n")).map { data[...$0] } ?? Data()
            let lines = whole.split(separator: UInt8(ascii: "\n"))
            guard let first = lines.first, let found = try? JSONTreeDecoder.decode(RunIdentity.self, from: first) else {
                throw RunRecordsError.unreadable(path: path, line: 1)
            }
            guard found == identity else {
                throw RunRecordsError.otherRun(path: path, differences: identity.differences(from: found))
            }
            for (index, line) in lines.enumerated().dropFirst() {
                guard let record = try? JSONTreeDecoder.decode(Line.self, from: line) else {
                    throw RunRecordsError.unreadable(path: path, line: index + 1)
                }
                records[record.key] = record.value
            }
            file = Mutex(try GrowingFile(path: path, keeping: whole.count))
        } else if let path {
            try FileSystem.makeFolder(at: URL(fileURLWithPath: path).deletingLastPathComponent().path)
            let line = try Self.line(identity)
            try AtomicFile.write(line, to: path)
            file = Mutex(try GrowingFile(path: path, keeping: line.count))
        } else {
            file = Mutex(nil)
        }
        state = Mutex(State(records: records))
    }

    public var count: Int { state.withLock { $0.records.count } }

    public subscript(key: String) -> Record? { state.withLock { $0.records[key] } }

    /// Keeps a record; when this returns, a crash does not lose it.
    ///
    /// - Throws: `AtomicFileError`; the record is then not kept, and others can follow.
    public func append(_ key: String, _ record: Record) throws {
        let line = try Self.line(Line(key: key, value: record))
        while let turn = state.withLock({ $0.beginWrite() }) { turn.wait() }
        defer { for waiting in state.withLock({ $0.endWrite() }) { waiting.signal() } }
        var taken: GrowingFile?
        file.withLock { swap(&$0, &taken) }
        defer { file.withLock { swap(&$0, &taken) } }
        try taken?.append(line.bytes)
        state.withLock { $0.records[key] = record }
    }

    private static func line(_ value: some Encodable) throws -> Data {
        try JSONEncoder.sorted().encode(value) + [UInt8(ascii: "\n")]
    }
}

/// Why a run's records cannot be used.
public enum RunRecordsError: Error, Equatable, CustomStringConvertible {
    case otherRun(path: String, differences: [String])
    case unreadable(path: String, line: Int)

    public var description: String {
        switch self {
        case .otherRun(let path, let differences):
            "\(path): these are the records of another run (\(differences.joined(separator: ", ")) differ). Give the same model, "
                + "corpus and options, name another --output, or remove the file."
        case .unreadable(let path, let line):
            "\(path), line \(line): this is not a record of an evaluation. Name another --output, or remove the file."
        }
    }
}

/// Everything that the records of a run depend on: records of runs that differ in any of it are never mixed.
public struct RunIdentity: Sendable, Codable, Equatable {
    /// The study, such as "lds".
    public var evaluation: String
    /// The digests of its subject; empty for a part that the records do not depend on.
    public var model = ""
    public var corpus = ""
    public var factors = ""
    public var seed: UInt64
    /// Everything else that the records depend on, by name.
    public var settings: [String: String] = [:]

    /// A setting of several values as one text.
    static func text(_ value: some Encodable) throws -> String {
        String(decoding: try JSONEncoder.sorted().encode(value), as: UTF8.self)
    }

    func differences(from other: RunIdentity) -> [String] {
        var names: [String] = []
        if evaluation != other.evaluation { names.append("evaluation") }
        if model != other.model { names.append("model") }
        if corpus != other.corpus { names.append("corpus") }
        if factors != other.factors { names.append("factors") }
        if seed != other.seed { names.append("seed") }
        names += Set(settings.keys).union(other.settings.keys).filter { settings[$0] != other.settings[$0] }.sorted()
        return names
    }
}

extension JSONEncoder {
    /// Writes the same bytes for equal values.
    fileprivate static func sorted() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}
