import Foundation
import LinearAlgebra
import TestScratch

@testable import Transformer

/// A folder for safetensors files, removed with the value.
struct SafetensorsScratch {
    private let temporary: TemporaryFolder
    var folder: String { temporary.path }

    init() throws { temporary = try TemporaryFolder() }

    func path(_ name: String) -> String { temporary.path(name) }

    var fileNames: [String] {
        get throws { try temporary.fileNames }
    }

    /// Writes bytes as they are, and gives their path.
    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, as name: String = "model.safetensors") throws -> String {
        try temporary.write(bytes, to: name)
    }

    /// Writes a file with any header and data, however wrong, and gives its path.
    @discardableResult
    func write(header: String, data: [UInt8] = [], as name: String = "model.safetensors") throws -> String {
        try write(Self.file(header: header, data: data), as: name)
    }

    /// Writes a file's tensors after the body has changed them: shapes and values by name.
    func rewrite(_ name: String, _ change: (inout [String: NamedParameter]) -> Void) throws {
        let file = try SafetensorsFile(path: path(name))
        var parameters = try file.tensors.mapValues { tensor in
            let values = try file.doubles(named: tensor.name).map { Float($0) }
            return NamedParameter(
                name: tensor.name, shape: tensor.shape,
                values: Matrix(rows: 1, columns: values.count, elements: values))
        }
        change(&parameters)
        var writer = SafetensorsWriter()
        for (name, parameter) in parameters { writer.add(name, parameter.values, shape: parameter.shape) }
        try writer.write(to: path(name))
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
