import Foundation
import LinearAlgebra

/// A LoRA adapter as PEFT saves it: low-rank changes of a base's matrices, and tensors that replace the base's own.
///
/// Modules are named as in the base's checkpoint. Opening an adapter reads names and shapes; values are read with the base's.
struct Adapter: Sendable {
    static let weightsName = "adapter_model.safetensors"
    static let pickleName = "adapter_model.bin"

    /// The tensors of one module's low-rank change, by their names in the file.
    struct Pair: Sendable {
        /// `A`: rank × in, or rank × vocabulary for an embedding.
        var down: String?
        /// `B`: out × rank
        var up: String?
        var upBias: String?
        var isEmbedding = false
    }

    /// A tensor that stands for one of the base's.
    struct Replacement: Sendable {
        let stored: String
        /// Whether the module was trained in a copy of its own (`modules_to_save`). Other modules that share the base's tensor then keep
        /// the base's.
        let isCopy: Bool
    }

    let folder: String
    let configuration: AdapterConfiguration
    let file: SafetensorsFile
    let tensors: SafetensorsCollection
    private(set) var pairs: [String: Pair] = [:]
    private(set) var replacements: [String: Replacement] = [:]
    /// Tensors of no known meaning.
    private(set) var unknown: [String] = []

    /// Opens a folder with `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// - Throws: ``AdapterError``, and ``SafetensorsError`` for a damaged file.
    init(folder: String) throws {
        func path(_ name: String) -> String {
            URL(fileURLWithPath: folder, isDirectory: true).appendingPathComponent(name).path
        }
        configuration = try AdapterConfiguration(folder: folder)
        guard FileManager.default.fileExists(atPath: path(Self.weightsName)) else {
            throw FileManager.default.fileExists(atPath: path(Self.pickleName))
                ? AdapterError.pickle(folder: folder) : AdapterError.missingFile(Self.weightsName, folder: folder)
        }
        self.folder = folder
        file = try SafetensorsFile(path: path(Self.weightsName))
        tensors = SafetensorsCollection(file: file)
        for name in file.tensors.keys.sorted() { try sort(name) }
        try checkPairs()
    }

    private static let prefix = "base_model.model."

    /// The part of a tensor's name that says what it is for.
    private static let markers: Set<Substring> = [
        "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector", "modules_to_save",
    ]

    /// Assigns a tensor to its module by its name: `base_model.model.MODULE.lora_A.weight`, with or without the adapter's own name
    /// before `weight`.
    private mutating func sort(_ name: String) throws {
        guard name.hasPrefix(Self.prefix) else { return unknown.append(name) }
        let parts = name.dropFirst(Self.prefix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard let marker = parts.firstIndex(where: Self.markers.contains) else { return replace(parts, name) }
        let module = parts[..<marker].joined(separator: ".")
        let rest = parts[(marker + 1)...]
        var pair = pairs[module] ?? Pair()
        switch (parts[marker], rest.last, rest.count) {
        case ("lora_magnitude_vector", _, _):
            throw AdapterError.unsupported(
                field: name, folder: folder, found: "in \(Self.weightsName)",
                reason: "DoRA also scales each row of the merged weight, which is not supported. "
                    + "Merge the adapter with PEFT's merge_and_unload().")
        case ("modules_to_save", _, 2...):
            return replace(parts[..<marker] + rest.dropFirst(), name, isCopy: true)
        case ("lora_A", "weight", 1...2): try Self.set(&pair.down, to: name, folder)
        case ("lora_B", "weight", 1...2): try Self.set(&pair.up, to: name, folder)
        case ("lora_B", "bias", 1...2): try Self.set(&pair.upBias, to: name, folder)
        case ("lora_embedding_A", _, 0...1):
            try Self.set(&pair.down, to: name, folder)
            pair.isEmbedding = true
        case ("lora_embedding_B", _, 0...1):
            try Self.set(&pair.up, to: name, folder)
            pair.isEmbedding = true
        default: return unknown.append(name)
        }
        pairs[module] = pair
    }

    private mutating func replace(_ parts: ArraySlice<Substring>, _ name: String, isCopy: Bool? = nil) {
        var parts = Array(parts)
        let isBase = parts.count > 1 && parts[parts.count - 2] == "base_layer"
        if isBase { parts.remove(at: parts.count - 2) }
        let tensor = parts.joined(separator: ".")
        let module = parts.dropLast().joined(separator: ".")
        guard replacements[tensor] == nil else { return unknown.append(name) }
        replacements[tensor] = Replacement(
            stored: name, isCopy: isCopy ?? (!isBase && configuration.isSaved(module)))
    }

    private mutating func replace(_ parts: [Substring], _ name: String) { replace(parts[...], name) }

    private static func set(_ tensor: inout String?, to name: String, _ folder: String) throws {
        if let other = tensor { throw AdapterError.repeated(tensors: [other, name], folder: folder) }
        tensor = name
    }

    /// Checks that both matrices of each module are there, and have its rank.
    private func checkPairs() throws {
        for (module, pair) in pairs.sorted(by: { $0.key < $1.key }) {
            guard let down = pair.down, let up = pair.up else {
                let found = pair.down ?? pair.up ?? pair.upBias ?? module
                let missing =
                    pair.up == nil
                    ? found.replacing("lora_A", with: "lora_B").replacing("embedding_A", with: "embedding_B")
                    : found.replacing("lora_B", with: "lora_A").replacing("embedding_B", with: "embedding_A")
                throw AdapterError.unpaired(
                    tensor: found, missing: missing.replacing(".bias", with: ".weight"), folder: folder)
            }
            let rank = try configuration.scale(of: module).rank
            for (name, dimension) in [(down, 0), (up, 1)] {
                let shape = file.tensors[name]?.shape ?? []
                guard shape.count == 2, shape[dimension] == rank else {
                    throw AdapterError.otherRank(tensor: name, folder: folder, found: shape, rank: rank)
                }
            }
        }
    }
}

extension Adapter {
    /// Reads a tensor of the shape that the base asks for.
    ///
    /// - Throws: ``AdapterError/wrongShape(tensor:folder:found:expected:base:)``, or ``SafetensorsError``.
    func matrix(_ name: String, rows: Int, columns: Int, base: String) throws -> Matrix {
        let found = file.tensors[name]?.shape ?? []
        let expected = rows == 1 ? [columns] : [rows, columns]
        guard found == expected || found == [rows, columns] else {
            throw AdapterError.wrongShape(tensor: name, folder: folder, found: found, expected: expected, base: base)
        }
        return try tensors.matrix(named: name, rows: rows, columns: columns)
    }

    /// A module's low-rank change, of a matrix of this shape.
    ///
    /// - Parameters:
    ///   - name: The module's name.
    ///   - hasBias: Whether the base's module has a bias, to which that of the adapter can be added.
    /// - Returns: Nil if the module has none.
    func change(
        of name: String, inputs: Int, outputs: Int, isEmbedding: Bool, hasBias: Bool, base: String
    ) throws -> LinearAdapter? {
        guard let pair = pairs[name], pair.isEmbedding == isEmbedding, let down = pair.down, let up = pair.up else {
            return nil
        }
        let (rank, scale) = try configuration.scale(of: name)
        for (tensor, expected) in [(down, [-1, inputs]), (up, [outputs, -1])] {
            let found = file.tensors[tensor]?.shape ?? []
            guard found == expected.map({ $0 < 0 ? rank : $0 }) else {
                throw AdapterError.wrongShape(
                    tensor: tensor, folder: folder, found: found, expected: expected, base: base)
            }
        }
        var raised = try tensors.matrix(named: up, rows: outputs, columns: rank)
        if let upBias = pair.upBias {
            guard hasBias else { throw AdapterError.biasWithoutBase(tensor: upBias, folder: folder) }
            let bias = try matrix(upBias, rows: 1, columns: outputs, base: base)
            var joined = Matrix(rows: outputs, columns: rank + 1)
            joined.copy(raised.slice, toRow: 0, column: 0)
            joined.copy(bias.transposed, toRow: 0, column: rank)
            raised = joined
        }
        return LinearAdapter(
            of: name, down: try tensors.matrix(named: down, rows: rank, columns: inputs), up: raised,
            hasBias: pair.upBias != nil, scale: scale)
    }

    /// Whether the adapter has tensors of a module.
    func concerns(_ module: String) -> Bool { pairs[module] != nil || replacements[module + ".weight"] != nil }

    /// Whether a module was trained in a copy of its own.
    func hasCopy(of module: String) -> Bool { replacements[module + ".weight"]?.isCopy == true }

    /// The tensors that are not of a low-rank change of one of these modules.
    func tensors(besides modules: [String]) -> [String] {
        let changes = modules.compactMap { pairs[$0] }.flatMap { [$0.down, $0.up, $0.upBias].compactMap { $0 } }
        return Set(file.tensors.keys).subtracting(changes).sorted()
    }

    /// Whether the adapter has a bias.
    var hasBiases: Bool {
        replacements.keys.contains { $0.hasSuffix(".bias") } || pairs.values.contains { $0.upBias != nil }
    }
}
