import Foundation
import JSON
import LinearAlgebra

/// The weights of one checkpoint: one safetensors file, or the shards that an index lists.
public struct SafetensorsCollection: TensorSource {
    public static let fileName = "model.safetensors"
    public static let indexName = "model.safetensors.index.json"

    /// The folder, or the path of the single file.
    public let path: String
    private let files: [String: SafetensorsFile]
    /// For each tensor, the key of its file in ``files``.
    private let shardNames: [String: String]

    /// Opens `model.safetensors`, or otherwise the shards that `model.safetensors.index.json` lists.
    ///
    /// - Throws: ``SafetensorsError``, which names missing files.
    public init(folder: String) throws {
        let folderURL = URL(fileURLWithPath: folder, isDirectory: true)
        func file(_ name: String) -> String { folderURL.appendingPathComponent(name).path }
        if FileManager.default.fileExists(atPath: file(Self.fileName)) {
            self.init(file: try SafetensorsFile(path: file(Self.fileName)), path: folder)
            return
        }
        guard FileManager.default.fileExists(atPath: file(Self.indexName)) else {
            throw SafetensorsError.missingWeights(folder: folder)
        }
        let shardNames = try Self.readIndex(file(Self.indexName))
        var files: [String: SafetensorsFile] = [:]
        for shard in Set(shardNames.values).sorted() {
            do {
                files[shard] = try SafetensorsFile(path: file(shard))
            } catch SafetensorsError.missingFile {
                throw SafetensorsError.missingShard(shard: shard, index: Self.indexName, folder: folder)
            }
        }
        for (name, shard) in shardNames.sorted(by: { $0.key < $1.key }) where files[shard]?.tensors[name] == nil {
            throw SafetensorsError.missingTensor(tensor: name, file: shard)
        }
        for (shard, file) in files.sorted(by: { $0.key < $1.key }) {
            if let name = file.tensors.keys.filter({ shardNames[$0] != shard }).min() {
                throw SafetensorsError.unlistedTensor(
                    tensor: name, file: shard, index: Self.indexName, listed: shardNames[name])
            }
        }
        self.init(files: files, shardNames: shardNames, path: folder)
    }

    /// One file as a collection.
    public init(file: SafetensorsFile) {
        self.init(file: file, path: file.path)
    }

    private init(file: SafetensorsFile, path: String) {
        self.init(
            files: [file.fileName: file], shardNames: file.tensors.mapValues { _ in file.fileName }, path: path)
    }

    private init(files: [String: SafetensorsFile], shardNames: [String: String], path: String) {
        self.path = path
        self.files = files
        self.shardNames = shardNames
    }

    private static func readIndex(_ path: String) throws -> [String: String] {
        func malformed(_ problem: String) -> SafetensorsError { .malformedIndex(file: indexName, problem: problem) }
        let json: Data
        do {
            let contents = try FileContents(path: path)
            guard contents.count <= SafetensorsHeader.maximumLength else {
                throw malformed("is \(contents.count) bytes long; expected at most \(SafetensorsHeader.maximumLength)")
            }
            json = try contents.bytes(0..<contents.count)
        } catch let error as FileContentsError {
            throw SafetensorsError(error, path: path, expected: 0)
        }
        let tree: JSONTree
        do {
            tree = try JSONReader.read(Array(json))
        } catch {
            throw malformed("line \(error.line), column \(error.column): \(error.reason)")
        }
        guard case .object(let members)? = tree["weight_map"] else {
            throw malformed("expected JSON with a \"weight_map\" from tensor names to file names")
        }
        var shardNames: [String: String] = [:]
        for member in members {
            guard case .string(let shard) = member.value else {
                throw malformed("expected JSON with a \"weight_map\" from tensor names to file names")
            }
            shardNames[member.name] = shard
        }
        // An index is untrusted input: it must not name files outside its own folder.
        for shard in shardNames.values
        where shard.isEmpty || shard == "." || shard == ".." || shard.utf8.contains(where: { $0 == 0x2F || $0 == 0 }) {
            throw malformed("names the shard \(SafetensorsError.quoted(shard)); expected a plain file name")
        }
        return shardNames
    }

    /// The names of all tensors, sorted.
    public var names: [String] { shardNames.keys.sorted() }

    public func contains(_ name: String) -> Bool { shardNames[name] != nil }

    /// The dimensions of a tensor; nil if there is no tensor of this name.
    public func shape(of name: String) -> [Int]? { file(of: name)?.tensors[name]?.shape }

    /// A tensor of shape [rows, columns], or of shape [columns] for one row, converted to Float32 and finite throughout.
    ///
    /// - Throws: As ``SafetensorsFile/matrix(named:rows:columns:)``, and
    ///   ``SafetensorsError/nonFiniteValue(tensor:file:row:column:value:)``.
    public func matrix(named name: String, rows: Int, columns: Int) throws -> Matrix {
        let file = try existingFile(of: name)
        return try Self.finite(try file.matrix(named: name, rows: rows, columns: columns), named: name, in: file)
    }

    /// A tensor of two dimensions as rows x columns, or one of one dimension as 1 x n, finite throughout.
    ///
    /// - Throws: As ``SafetensorsFile/matrix(named:)``, and
    ///   ``SafetensorsError/nonFiniteValue(tensor:file:row:column:value:)``.
    public func matrix(named name: String) throws -> Matrix {
        let file = try existingFile(of: name)
        return try Self.finite(try file.matrix(named: name), named: name, in: file)
    }

    private func file(of name: String) -> SafetensorsFile? { shardNames[name].flatMap { files[$0] } }

    private func existingFile(of name: String) throws -> SafetensorsFile {
        guard let file = file(of: name) else {
            let only = files.count == 1 ? files.keys.first : nil
            throw SafetensorsError.missingTensor(tensor: name, file: only ?? Self.indexName)
        }
        return file
    }

    private static func finite(_ matrix: Matrix, named name: String, in file: SafetensorsFile) throws -> Matrix {
        try matrix.withSpan { values in
            // Only infinities and NaN have all bits of the exponent set. A maximum needs no branch in the loop.
            let exponent = Float.infinity.bitPattern
            var largest: UInt32 = 0
            for index in values.indices { largest = max(largest, values[index].bitPattern & exponent) }
            guard largest == exponent, let bad = values.indices.first(where: { !values[$0].isFinite }) else { return }
            throw SafetensorsError.nonFiniteValue(
                tensor: name, file: file.fileName, row: bad / matrix.columns, column: bad % matrix.columns,
                value: values[bad].isNaN ? "NaN" : values[bad].description)
        }
        return matrix
    }
}
