import LinearAlgebra

/// Applies an adapter to a base's weights while they are read, and notes which of the adapter's tensors were used.
struct AdaptedWeights: Sendable {
    let adapter: Adapter
    /// The base's folder or file, for messages.
    let base: String
    private var used: Set<String> = []

    init(_ adapter: Adapter, base: String) {
        self.adapter = adapter
        self.base = base
    }

    /// The adapter's tensor in place of one of the base's; nil if it has none.
    mutating func replacement(of tensor: String, rows: Int, columns: Int) throws -> Matrix? {
        guard let replacement = adapter.replacements[tensor] else { return nil }
        used.insert(replacement.stored)
        return try adapter.matrix(replacement.stored, rows: rows, columns: columns, base: base)
    }

    /// Adds a layer's low-rank change to its weight, and keeps the two matrices beside it.
    mutating func apply(to layer: inout LinearLayer) throws {
        guard
            let change = try adapter.change(
                of: layer.name, inputs: layer.inputWidth, outputs: layer.outputWidth, isEmbedding: false,
                hasBias: layer.hasBias, base: base)
        else { return }
        use(layer.name)
        layer.weight.add(change.product(columns: layer.weight.columns))
        layer.adapter = change
        try requireFinite(layer.weight, layer.name)
    }

    /// Adds an embedding's low-rank change: `(B A)ᵀ`, vocabulary × width.
    mutating func apply(toEmbedding name: String, _ weight: inout Matrix) throws {
        guard
            let change = try adapter.change(
                of: name, inputs: weight.rows, outputs: weight.columns, isEmbedding: true, hasBias: false, base: base)
        else { return }
        use(name)
        weight.add(change.product(columns: weight.rows).transposedCopy())
        try requireFinite(weight, name)
    }

    /// Adds the head's low-rank change. The head is no ``LinearLayer``, and its matrices are not kept.
    mutating func apply(toHead name: String, _ weight: inout Matrix) throws {
        guard
            let change = try adapter.change(
                of: name, inputs: weight.columns, outputs: weight.rows, isEmbedding: false, hasBias: false, base: base)
        else { return }
        use(name)
        weight.add(change.product(columns: weight.columns))
        try requireFinite(weight, name)
    }

    private mutating func use(_ module: String) {
        guard let pair = adapter.pairs[module] else { return }
        used.formUnion([pair.down, pair.up, pair.upBias].compactMap { $0 })
    }

    private func requireFinite(_ weight: Matrix, _ module: String) throws {
        guard weight.isFinite else { throw AdapterError.notFinite(module: module, folder: adapter.folder) }
    }

    /// Checks that the whole adapter was applied, and that it has the biases that its configuration says were trained.
    ///
    /// - Throws: ``AdapterError``.
    func finish(_ decoder: DecoderModel) throws {
        let unused = adapter.file.tensors.keys.filter { !used.contains($0) }.sorted()
        guard unused.isEmpty else {
            throw AdapterError.unknownTensors(
                unused, folder: adapter.folder, base: base,
                module: decoder.blocks.first?.feedForwards.first?.up.name ?? "")
        }
        let bias = adapter.configuration.bias
        guard bias == "none" || adapter.hasBiases || !decoder.hasBiases(inNorms: bias == "all") else {
            throw AdapterError.missingBiases(folder: adapter.folder, bias: bias)
        }
    }
}

extension AdaptedWeights {
    /// The head of a base whose head is its token embedding, if the two differ with the adapter.
    ///
    /// PEFT's modules to save are copies: a new embedding leaves the head as the base has it, and the other way round. The same holds for
    /// low-rank changes before they are merged, which is the model that was trained.
    ///
    /// - Parameters:
    ///   - shared: The base's embedding, or what replaces it in place.
    ///   - tokenEmbedding: The adapted one.
    /// - Returns: Nil if the head is the adapted embedding.
    mutating func head(named name: String, sharing shared: Matrix, tokenEmbedding: Matrix) throws -> Matrix? {
        var head = shared
        if adapter.hasCopy(of: name),
            let own = try replacement(of: name + ".weight", rows: shared.rows, columns: shared.columns)
        {
            head = own
        }
        try apply(toHead: name, &head)
        return head == tokenEmbedding ? nil : head
    }

    /// What replaces the tensor that embedding and head share, in place; nil if nothing does.
    mutating func sharedReplacement(
        head: String, embedding: String, rows: Int, columns: Int
    ) throws -> Matrix? {
        let found = try [embedding, head].map { $0 + ".weight" }
            .filter { adapter.replacements[$0]?.isCopy == false }
            .compactMap { try replacement(of: $0, rows: rows, columns: columns) }
        if found.count == 2, found[0] != found[1] {
            let names = [embedding, head].compactMap { adapter.replacements[$0 + ".weight"]?.stored }
            throw AdapterError.tiedBase(tensors: names, folder: adapter.folder)
        }
        return found.first
    }
}

extension DecoderModel {
    fileprivate func hasBiases(inNorms: Bool) -> Bool {
        blocks.contains { block in
            block.attention.inputs.contains { $0.hasBias } || block.attention.output.hasBias
                || block.feedForwards.contains { $0.up.hasBias || $0.down.hasBias }
                || (inNorms && block.attentionNorm?.bias != nil)
        }
    }
}
