import Foundation

/// A folder of a test's own, which goes when the test ends.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "tributary-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The path of something in it.
    func path(_ name: String) -> String { url.appending(path: name).path }

    /// Writes a file.
    ///
    /// - Returns: Its path.
    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: url.appending(path: name))
        return path(name)
    }

    /// Copies a folder, or a file, into it.
    ///
    /// - Returns: The path of the copy.
    func copy(_ path: String, as name: String) throws -> String {
        try FileManager.default.copyItem(atPath: path, toPath: self.path(name))
        return self.path(name)
    }
}
