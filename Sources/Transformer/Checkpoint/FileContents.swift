import Foundation

/// The bytes of an open file, read range by range.
///
/// Values are read and not mapped: mapped pages would count as memory of the process in addition to the converted values, and a file
/// that is shortened in place would crash the process instead of being refused.
final class FileContents: Sendable {
    private enum Source {
        case descriptor(Int32)
        case memory(Data)
    }

    private let source: Source
    let count: Int

    /// Opens a regular file.
    ///
    /// - Throws: ``FileContentsError``.
    init(path: String) throws(FileContentsError) {
        // O_NONBLOCK: opening a pipe would wait. Only regular files are accepted: reading a device might never end.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR { throw .missing }
            throw .unreadable(String(cString: strerror(code)))
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .notAFile
        }
        source = .descriptor(descriptor)
        count = Int(status.st_size)
    }

    /// Contents that are already in memory.
    init(_ data: Data) {
        source = .memory(Data(data))
        count = data.count
    }

    deinit {
        if case .descriptor(let descriptor) = source { close(descriptor) }
    }

    /// Reads a range of the bytes.
    ///
    /// - Parameter range: Within ``count``.
    /// - Throws: ``FileContentsError`` if the file has become shorter, or cannot be read.
    func bytes(_ range: Range<Int>) throws(FileContentsError) -> Data {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of a file of \(count)")
        switch source {
        case .memory(let data): return data[range]
        case .descriptor(let descriptor):
            var bytes = Data(count: range.count)
            let problem = bytes.withUnsafeMutableBytes { buffer -> FileContentsError? in
                var done = 0
                while done < buffer.count {
                    let read = pread(
                        descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done,
                        off_t(range.lowerBound + done))
                    if read > 0 {
                        done += read
                    } else if read == 0 {
                        return .shortened(to: range.lowerBound + done)
                    } else if errno != EINTR {
                        return .unreadable(String(cString: strerror(errno)))
                    }
                }
                return nil
            }
            if let problem { throw problem }
            return bytes
        }
    }
}

/// Why a file's bytes could not be read.
enum FileContentsError: Error, Equatable {
    case missing
    case notAFile
    case unreadable(String)
    /// The file is now shorter than when it was opened.
    case shortened(to: Int)
}
