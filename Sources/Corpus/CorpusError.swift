import Foundation
import GRDB

/// Why a corpus cannot be opened, read or written.
public enum CorpusError: Error, Equatable {
    case wrongTokenizer(file: String, recorded: String, given: String)
    case wrongSequenceLength(file: String, recorded: Int, given: Int)
    case wrongPrefix(file: String, recorded: [Int32], given: [Int32])
    case sequenceLengthTooSmall(sequenceLength: Int, prefixLength: Int)
    case missing(file: String)
    case notACorpus(file: String)
    case newerFormat(file: String)
    case damaged(file: String, reason: String)
    /// Neither documents nor sequences have these identifiers.
    case unknownIdentifiers([String])
    /// No sequence has this rowid; the corpus has `count` sequences.
    case unknownRowid(Int64, count: Int)
    /// The corpus would have more sequences than its rowids allow.
    case tooManySequences(limit: Int)
    /// The disk, or the database's page limit, is full. The failed transaction changed nothing.
    case diskFull(file: String)
    /// Another process kept the corpus locked for too long.
    case locked(file: String)
    /// Any other failure of the database or the file system.
    case storage(file: String, reason: String)
}

extension CorpusError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .wrongTokenizer(let file, let recorded, let given):
            "\(file): the corpus was tokenised by another tokenizer (digest \(recorded)) than the model's (digest \(given)), or "
                + "by an earlier version of Tributary, which treated BOS and EOS differently. Use the model that it was "
                + "imported for, or import the documents again into another workspace."
        case .wrongSequenceLength(let file, let recorded, let given):
            "\(file): the corpus was split into sequences of at most \(recorded) tokens; \(given) were requested. "
                + "Set the sequence length to \(recorded), or import the documents into another workspace."
        case .wrongPrefix(let file, let recorded, let given):
            "\(file): the corpus's sequences begin with the tokens \(recorded); the tokenizer puts \(given) in front. "
                + "Use the tokenizer files that it was imported with, or import the documents into another workspace."
        case .sequenceLengthTooSmall(let sequenceLength, let prefixLength):
            "A sequence length of \(sequenceLength) leaves no tokens for text after a prefix of \(prefixLength) tokens: "
                + "it must be at least \(prefixLength + 1)."
        case .missing(let file):
            "\(file): there is no corpus here. Import documents first."
        case .notACorpus(let file):
            "\(file): this file is not a corpus. Move it away, or choose another workspace."
        case .newerFormat(let file):
            "\(file): the corpus was written by a later version of Tributary. Update Tributary to open it."
        case .damaged(let file, let reason):
            "\(file): the corpus is damaged (\(reason)). Restore it from a copy, or delete it and import the documents again."
        case .unknownIdentifiers(let names):
            "No sequence or document of the corpus is named "
                + names.prefix(10).map { "\"\($0)\"" }.joined(separator: ", ")
                + (names.count > 10 ? " (and \(names.count - 10) more)." : ".")
        case .unknownRowid(let rowid, let count):
            "The corpus has no sequence number \(rowid): its \(count) sequences are numbered from 1."
        case .tooManySequences(let limit):
            "A corpus can have at most \(limit) sequences. Import the other documents into another workspace."
        case .diskFull(let file):
            "\(file): the disk is full. What was committed before is kept; free some space and try again."
        case .locked(let file):
            "\(file): another process is writing to the corpus. Try again when it has finished."
        case .storage(let file, let reason):
            "\(file): \(reason)"
        }
    }

    public var errorDescription: String? { description }

    /// A database error as an error of the corpus in `file`; every other error unchanged.
    static func mapped(_ error: any Error, file: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        // The memory that connections share is a file: a full disk appears there first, with its own error code.
        if error.extendedResultCode == .SQLITE_IOERR_SHMSIZE { return CorpusError.diskFull(file: file) }
        return switch error.resultCode {
        case .SQLITE_FULL: CorpusError.diskFull(file: file)
        case .SQLITE_NOTADB: CorpusError.notACorpus(file: file)
        case .SQLITE_CORRUPT: CorpusError.damaged(file: file, reason: error.message ?? "malformed database")
        case .SQLITE_BUSY, .SQLITE_LOCKED: CorpusError.locked(file: file)
        default: CorpusError.storage(file: file, reason: error.message ?? "SQLite error \(error.extendedResultCode)")
        }
    }
}
