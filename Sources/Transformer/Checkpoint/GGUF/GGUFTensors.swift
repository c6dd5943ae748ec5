import LinearAlgebra

/// A GGUF file's tensors under Hugging Face's names, and arranged as in a Hugging Face checkpoint.
struct GGUFTensors: TensorSource {
    /// The change that converters make to a tensor, which reading undoes.
    private enum Arrangement {
        case same
        /// Row r of the checkpoint is row `order(r)` of the file.
        case rows(order: @Sendable (Int) -> Int)
        case transposed
        case plusOne
    }

    private struct Entry {
        let stored: GGUFTensor
        let arrangement: Arrangement
    }

    let path: String
    private let file: GGUFFile
    private let entries: [String: Entry]

    /// Translates the name of every tensor.
    ///
    /// - Throws: ``GGUFError`` for a tensor that the architecture does not have, or one of an unsupported type.
    init(file: GGUFFile, architecture: GGUFArchitecture, heads: Int, keyValueHeads: Int) throws {
        self.file = file
        path = file.path
        let names = GGUFNames(try ModelFamily.named(architecture.modelType).names)
        var entries: [String: Entry] = [:]
        for (name, stored) in file.tensors.sorted(by: { $0.key < $1.key }) where !Self.computed.contains(name) {
            guard let (translated, module) = names.translate(name) else {
                let isExpert = name.contains("_exps") || name.contains("_shexp") || name.contains("ffn_gate_inp")
                throw file.unsupported(
                    "a tensor \(SafetensorsError.quoted(name))"
                        + (isExpert
                            ? ": a mixture of experts is not supported"
                            : ", which no \(architecture.name) known here has")
                )
            }
            guard GGUFTensorType.supported.contains(stored.type) else {
                throw GGUFError.unsupportedType(tensor: name, file: file.fileName, found: stored.type.name)
            }
            entries[translated] = Entry(
                stored: stored,
                arrangement: Self.arrangement(
                    of: module, stored, architecture: architecture, heads: heads, keyValueHeads: keyValueHeads))
        }
        self.entries = entries
    }

    /// Tensors that are read elsewhere.
    private static let computed: Set<String> = ["rope_freqs.weight"]

    private static func arrangement(
        of module: String, _ stored: GGUFTensor, architecture: GGUFArchitecture, heads: Int, keyValueHeads: Int
    ) -> Arrangement {
        let isVector = stored.shape.count == 1
        let rows = isVector ? stored.shape.last ?? 0 : stored.shape.first ?? 0
        if architecture.interleavesRotary, module == "attn_q" || module == "attn_k" {
            let groups = module == "attn_q" ? heads : keyValueHeads
            guard rows % (2 * groups) == 0 else { return .same }
            let half = rows / groups / 2
            return .rows { row in
                let (head, index) = row.quotientAndRemainder(dividingBy: 2 * half)
                return head * 2 * half + index % half * 2 + index / half
            }
        }
        if architecture.groupsFusedHeads, module == "attn_qkv" {
            guard rows % (3 * heads) == 0 else { return .same }
            let headWidth = rows / heads / 3
            return .rows { row in
                let (head, index) = row.quotientAndRemainder(dividingBy: 3 * headWidth)
                return (index / headWidth * heads + head) * headWidth + index % headWidth
            }
        }
        if architecture.transposesLinear, !isVector, !["token_embd", "position_embd", "output"].contains(module) {
            return .transposed
        }
        if architecture.addsOneToNorms, module.hasSuffix("_norm") { return .plusOne }
        return .same
    }

    var names: [String] { entries.keys.sorted() }

    func contains(_ name: String) -> Bool { entries[name] != nil }

    func storedName(of name: String) -> String { entries[name]?.stored.name ?? name }

    func shape(of name: String) -> [Int]? {
        guard let entry = entries[name] else { return nil }
        if case .transposed = entry.arrangement { return entry.stored.shape.reversed() }
        return entry.stored.shape
    }

    func matrix(named name: String, rows: Int, columns: Int) throws -> Matrix {
        guard let entry = entries[name], let shape = shape(of: name) else {
            throw GGUFError.missingTensor(tensor: name, file: file.fileName)
        }
        let stored = entry.stored
        guard shape == [rows, columns] || (rows == 1 && shape == [columns]) else {
            throw GGUFError.wrongShape(
                tensor: stored.name, file: file.fileName, expected: rows == 1 ? [columns] : [rows, columns],
                found: shape)
        }
        let matrix = try file.matrix(named: stored.name)
        guard matrix.isFinite else {
            let bad = matrix.withSpan { values in values.indices.first { !values[$0].isFinite } ?? 0 }
            throw GGUFError.nonFiniteValue(
                tensor: stored.name, file: file.fileName, row: bad / matrix.columns, column: bad % matrix.columns)
        }
        switch entry.arrangement {
        case .same: return matrix
        case .rows(let order):
            return rows == 1 ? matrix.reordered(groups: columns, order) : matrix.reordered(groups: rows, order)
        case .transposed: return matrix.transposedCopy()
        case .plusOne:
            var gains = matrix
            gains.withMutableSpan { values in
                for index in values.indices { values[index] -= 1 }
            }
            return gains
        }
    }
}

extension Matrix {
    /// The values in groups of equal length; group `g` of the result is group `order(g)` of this matrix.
    fileprivate func reordered(groups: Int, _ order: (Int) -> Int) -> Matrix {
        let length = count / groups
        var result = Matrix(rows: rows, columns: columns)
        withSpan { source in
            result.withMutableSpan { target in
                for group in 0..<groups {
                    let start = order(group) * length
                    for index in 0..<length { target[group * length + index] = source[start + index] }
                }
            }
        }
        return result
    }
}
