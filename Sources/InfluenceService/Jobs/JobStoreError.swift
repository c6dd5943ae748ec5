import Foundation
import GRDB

/// Why jobs cannot be read or written.
public enum JobStoreError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case cannotOpen(file: String, reason: String)
    /// A later version of Tributary has written the file.
    case newerFormat(file: String)
    case diskFull(file: String)
    case failed(file: String, reason: String)

    public var description: String {
        switch self {
        case .cannotOpen(let file, let reason):
            "\(file): the job database cannot be opened: \(reason)"
        case .newerFormat(let file):
            "\(file): a newer version of Tributary has written these jobs: use that version, or another workspace"
        case .diskFull(let file):
            "\(file): the disk is full: free some space on it"
        case .failed(let file, let reason):
            "\(file): the job database failed: \(reason)"
        }
    }

    public var errorDescription: String? { description }

    init(_ error: any Error, file: String) {
        switch error {
        case let error as JobStoreError: self = error
        // The memory that connections share is a file: a full disk shows itself there first, and by a code of its own.
        case let error as DatabaseError
        where error.resultCode == .SQLITE_FULL || error.extendedResultCode == .SQLITE_IOERR_SHMSIZE:
            self = .diskFull(file: file)
        case let error as DatabaseError: self = .failed(file: file, reason: error.description)
        default: self = .failed(file: file, reason: "\(error)")
        }
    }
}
