import Files
import Foundation
import JSON
import Synchronization
import Transformer

/// The finished parts of a long run, kept in a file as they are found, so that an interrupted run goes on where it stopped.
///
/// A file of JSON lines: the first is the run's ``RunIdentity``, each further one `{"key", "value"}`. A line is synced before
/// ``append(_:_:)`` returns; one that a crash cut short is dropped when the file is opened again, and one that a full disk cut
/// short at once.
public final class RunRecords<Record: Codable & Sendable>: Sendable {
    private let path: String
    private let records: Mutex<[String: Record]>
    /// The file itself: one line is written at a time. Nothing else waits for it, and readers use ``records`` alone.
    private let file: Mutex<GrowingFile>

    private struct Line: Codable {
        var key: String
        var value: Record
    }

    /// Opens the records of a run, or begins them.
    ///
    /// - Throws: ``RunRecordsError/otherRun(path:differences:)`` for those of another run.
    public init(path: String, identity: RunIdentity) throws {
        self.path = path
        let url = URL(fileURLWithPath: path)
        var records: [String: Record] = [:]
        if FileManager.default.fileExists(atPath: path) {
            let data = try Data(contentsOf: url)
            let whole = data.lastIndex(of: UInt8(ascii: "\n")).map { data[...$0] } ?? Data()
            var lines = whole.split(separator: UInt8(ascii: "\n")).makeIterator()
            guard let first = lines.next(), let found = try? JSONTreeDecoder.decode(RunIdentity.self, from: first)
            else {
                throw RunRecordsError.unreadable(path: path, line: 1)
            }
            guard found == identity else {
                throw RunRecordsError.otherRun(path: path, differences: identity.differences(from: found))
            }
            var number = 1
            while let line = lines.next() {
                number += 1
                guard let record = try? JSONTreeDecoder.decode(Line.self, from: line) else {
                    throw RunRecordsError.unreadable(path: path, line: number)
                }
                records[record.key] = record.value
            }
            file = Mutex(try GrowingFile(path: path, keeping: whole.count))
        } else {
            try FileSystem.makeFolder(at: url.deletingLastPathComponent().path)
            let line = try Self.line(identity)
            try AtomicFile.write(line, to: path)
            file = Mutex(try GrowingFile(path: path, keeping: line.count))
        }
        self.records = Mutex(records)
    }

    public var count: Int { records.withLock { $0.count } }

    public subscript(key: String) -> Record? { records.withLock { $0[key] } }

    /// Keeps a record; when this returns, a crash does not lose it.
    ///
    /// - Throws: `AtomicFileError`; the record is then not kept, and others may follow.
    public func append(_ key: String, _ record: Record) throws {
        let line = try Self.line(Line(key: key, value: record))
        try file.withLock { try $0.append(line.bytes) }
        records.withLock { $0[key] = record }
    }

    private static func line(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value) + [UInt8(ascii: "\n")]
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
            "\(path), line \(line): not a record of an evaluation. Name another --output, or remove the file."
        }
    }
}
