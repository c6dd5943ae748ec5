import Files

/// The bytes of a table that must be read at any offset: a file, or memory.
public struct TableSource {
    /// The name in errors.
    public let name: String
    let length: Int
    private let contents: (_ offset: Int, _ count: Int) throws -> [UInt8]

    /// - Throws: ``TableError/unreadable(file:reason:)``.
    public static func file(_ path: String, name: String) throws -> TableSource {
        do {
            let file = try FileContents(path: path)
            return TableSource(name: name, length: file.length, contents: file.read)
        } catch FileContentsError.unreadable(let reason) {
            throw TableError.unreadable(file: name, reason: reason)
        }
    }

    public static func bytes(_ bytes: [UInt8], name: String) -> TableSource {
        TableSource(name: name, length: bytes.count) { offset, count in Array(bytes[offset...].prefix(count)) }
    }

    /// All of the bytes in a range.
    ///
    /// - Parameter what: The noun for them in an error.
    /// - Throws: ``TableError/truncated(file:missing:)`` if the file ends within them or before.
    func read(at offset: Int, count: Int, of what: @autoclosure () -> String) throws -> [UInt8] {
        guard offset >= 0, count >= 0, offset <= length, count <= length - offset else { throw truncated(what()) }
        guard count > 0 else { return [] }
        let bytes: [UInt8]
        do {
            bytes = try contents(offset, count)
        } catch FileContentsError.unreadable(let reason) {
            throw TableError.unreadable(file: name, reason: reason)
        }
        // The file may have become shorter since it was opened.
        guard bytes.count == count else { throw truncated(what()) }
        return bytes
    }

    func truncated(_ what: String) -> TableError { .truncated(file: name, missing: what) }

    func corrupt(_ reason: String) -> TableError { .corrupt(file: name, reason: reason) }

    func unsupported(_ feature: String, _ advice: String) -> TableError {
        .unsupported(file: name, feature: feature, advice: advice)
    }
}

extension [String] {
    /// The indices of the named columns.
    ///
    /// - Throws: ``TableError``, see ``TableReader/select(_:)``.
    func indices(of names: [String], file: String) throws(TableError) -> [Int] {
        var selected: [Int] = []
        for name in names {
            let found = indices.filter { self[$0].utf8.elementsEqual(name.utf8) }
            guard let index = found.first else {
                throw .missingColumn(file: file, column: name, columns: self)
            }
            guard found.count == 1 else {
                throw .corrupt(file: file, reason: "\(found.count) columns are called \"\(name)\"")
            }
            selected.append(index)
        }
        return selected
    }
}
