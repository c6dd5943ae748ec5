import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

/// A copy of a fixture's checkpoint, changed as a test says.
struct CheckpointScratch {
    let scratch: SafetensorsScratch
    var folder: String { scratch.folder }

    init(copying model: String) throws {
        scratch = try SafetensorsScratch()
        for file in ["config.json", "model.safetensors"] {
            try FileManager.default.copyItem(
                atPath: ModelFixture.folder(model) + "/" + file, toPath: scratch.path(file))
        }
    }

    /// Changes fields of config.json, or removes those for which nil is given.
    func configure(_ changes: [String: Any?]) throws {
        var fields = try scratch.configuration()
        for (name, value) in changes { fields[name] = value }
        try scratch.write(try JSONSerialization.data(withJSONObject: fields), as: "config.json")
    }

    /// Writes the tensors after the body has changed them: shapes and values by name.
    func rewrite(_ change: (inout [String: NamedParameter]) -> Void) throws {
        try scratch.rewrite("model.safetensors", change)
    }

    func load() throws -> DecoderModel { try Checkpoint.loadDecoder(folder: folder) }

    /// Why the folder is refused; nil where it is not.
    func refusal() throws -> CheckpointError? {
        do {
            _ = try load()
            return nil
        } catch let error as CheckpointError {
            return error
        }
    }
}

extension [String: NamedParameter] {
    /// Adds a tensor of some values that nothing asks for.
    mutating func add(_ name: String, shape: [Int] = [2]) {
        let count = shape.reduce(1, *)
        let values = Matrix(rows: 1, columns: count, elements: (0..<count).map { Float($0) })
        self[name] = NamedParameter(name: name, shape: shape, values: values)
    }
}
