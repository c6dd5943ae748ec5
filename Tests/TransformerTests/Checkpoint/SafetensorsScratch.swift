import Foundation

@testable import Transformer

/// A folder of a test's own, removed with the value.
final class SafetensorsScratch {
    let folder: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("safetensors-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    func path(_ name: String) -> String { folder + "/" + name }

    var fileNames: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    }

    /// Writes bytes as they are, and gives their path.
    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, as name: String = "model.safetensors") throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
        return path(name)
    }

    /// Writes a file with any header and data, however wrong, and gives its path.
    @discardableResult
    func write(header: String, data: [UInt8] = [], as name: String = "model.safetensors") throws -> String {
        try write(Self.file(header: header, data: data), as: name)
    }

    /// The length of a header, the header, and data.
    static func file(header: String, data: [UInt8]) -> [UInt8] {
        let length = UInt64(header.utf8.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8) + data
    }
}

/// The error that an operation throws, if it is of this kind.
func safetensorsError(_ operation: () throws -> some Any) -> SafetensorsError? {
    do {
        _ = try operation()
        return nil
    } catch {
        return error as? SafetensorsError
    }
}
