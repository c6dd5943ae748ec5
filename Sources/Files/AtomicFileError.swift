import Foundation
import Glibc

/// Why a file or a folder could not be written; what was at its place is untouched.
public enum AtomicFileError: Error, Equatable {
    case diskFull(path: String)
    case missingFolder(path: String)
    case cannotWrite(path: String, reason: String)

    init(path: String, code: Int32) {
        switch code {
        case ENOSPC, EDQUOT: self = .diskFull(path: path)
        case ENOENT, ENOTDIR: self = .missingFolder(path: path)
        default: self = .cannotWrite(path: path, reason: String(cString: strerror(code)))
        }
    }

    /// The same, said of the path that a person knows and not of one beside it.
    public func naming(_ path: String) -> AtomicFileError {
        switch self {
        case .diskFull: .diskFull(path: path)
        case .missingFolder: .missingFolder(path: path)
        case .cannotWrite(_, let reason): .cannotWrite(path: path, reason: reason)
        }
    }
}

extension AtomicFileError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .diskFull(let path):
            "\(path): the disk is full, or the quota used up. Nothing was changed: free some space and try again."
        case .missingFolder(let path):
            "\(path): cannot be written, as its folder does not exist. Create the folder, or name another."
        case .cannotWrite(let path, let reason):
            "\(path): cannot be written (\(reason)). Check the path and its permissions."
        }
    }

    public var errorDescription: String? { description }
}
