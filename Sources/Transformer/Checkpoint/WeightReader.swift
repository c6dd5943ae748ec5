import LinearAlgebra

/// The tensors of a checkpoint, under the names that Hugging Face transformers gives them.
///
/// A source hides how its format names tensors and stores values, so that each family is described once for all formats.
public protocol TensorSource: Sendable {
    /// The folder or file that holds the tensors, for messages.
    var path: String { get }

    /// The names of all tensors, sorted.
    var names: [String] { get }

    func contains(_ name: String) -> Bool

    /// The name of a tensor in the files.
    func storedName(of name: String) -> String

    /// A tensor of shape [rows, columns], or of shape [columns] for one row, as Float32, finite throughout.
    ///
    /// - Throws: The error of the format, naming the tensor and its file.
    func matrix(named name: String, rows: Int, columns: Int) throws -> Matrix
}

extension TensorSource {
    public func storedName(of name: String) -> String { name }
}

/// Reads a decoder's weights under a family's names.
struct WeightReader: ParameterSource {
    private let description: DecoderDescription
    private let tensors: any TensorSource
    private let names: TensorNames
    /// The tensors that the model reads, by the source's names.
    private var read: Set<String> = []
    /// The adapter that is applied to what is read.
    private var adapted: AdaptedWeights?

    /// Reads a decoder, and checks that it reads all tensors of the source, except buffers that the family is known to store, and all
    /// tensors of the adapter.
    ///
    /// - Throws: ``CheckpointError``, ``AdapterError``, and the errors of the source.
    static func decoder(
        _ description: DecoderDescription, names: TensorNames, tensors: any TensorSource, adapter: Adapter? = nil
    ) throws -> DecoderModel {
        var reader = WeightReader(description: description, tensors: tensors, names: names)
        reader.adapted = adapter.map { AdaptedWeights($0, base: tensors.path) }
        var decoder = try DecoderModel(description, names: names, from: &reader)
        decoder.description.isHeadTied = decoder.untiedHead == nil
        try reader.adapted?.finish(decoder)
        let unread = tensors.names.filter {
            !reader.read.contains($0) && !names.isBuffer($0, layers: description.layers)
        }
        guard unread.isEmpty else {
            throw CheckpointError.unreadTensors(unread.map(tensors.storedName), folder: tensors.path)
        }
        return decoder
    }

    mutating func embedding(_ name: String, rows: Int, width: Int) throws -> Matrix {
        var embedding = try matrix(name, rows: rows, columns: width)
        let head = names.head
        if description.isHeadTied, name == names.tokenEmbedding, adapted?.adapter.hasCopy(of: name) == false,
            let shared = try adapted?.sharedReplacement(head: head, embedding: name, rows: rows, columns: width)
        {
            embedding = shared
        }
        try adapted?.apply(toEmbedding: name, &embedding)
        return embedding
    }

    mutating func untiedHead(tokenEmbedding: Matrix) throws -> Matrix? {
        let (name, headName) = (names.tokenEmbedding, names.head)
        guard let adapter = adapted?.adapter, [name, headName].contains(where: adapter.concerns) else {
            return try ownHead(tokenEmbedding: tokenEmbedding)
        }
        guard description.isHeadTied else {
            var head = try matrix(headName, rows: description.vocabulary, columns: description.width)
            try adapted?.apply(toHead: headName, &head)
            return head
        }
        let (rows, columns) = (tokenEmbedding.rows, tokenEmbedding.columns)
        let own = try tensors.matrix(named: try stored(name + ".weight"), rows: rows, columns: columns)
        _ = try ownHead(tokenEmbedding: own)
        let shared = try adapted?.sharedReplacement(head: headName, embedding: name, rows: rows, columns: columns)
        return try adapted?.head(named: headName, sharing: shared ?? own, tokenEmbedding: tokenEmbedding)
    }

    /// The head that the checkpoint itself has; nil if it is the embedding.
    private mutating func ownHead(tokenEmbedding: Matrix) throws -> Matrix? {
        // Some programs store a tied head a second time.
        guard !description.isHeadTied || tensors.contains(names.head + ".weight") else { return nil }
        guard description.isHeadTied else {
            return try matrix(names.head, rows: description.vocabulary, columns: description.width)
        }
        let head = try storedTensor(
            names.head + ".weight", rows: description.vocabulary, columns: description.width)
        guard head == tokenEmbedding else {
            throw CheckpointError.tiedHeadDiffers(
                head: tensors.storedName(of: names.head + ".weight"),
                embedding: tensors.storedName(of: try stored(names.tokenEmbedding + ".weight")),
                folder: tensors.path)
        }
        return nil
    }

    mutating func headBias() throws -> Matrix { try vector(names.head + ".bias", count: description.vocabulary) }

    mutating func normalization(_ name: String, width: Int) throws -> Normalization {
        let kind = description.normalization
        var gain = Matrix()
        if kind.hasGain {
            gain = try vector(name + ".weight", count: width)
            gain.add(description.gainOffset)
        } else {
            gain.resize(rows: 1, columns: width, filledWith: 1)
        }
        return Normalization(
            name: name, gain: gain, bias: kind.hasBias ? try vector(name + ".bias", count: width) : nil, kind: kind,
            epsilon: description.normalizationEpsilon, gainOffset: description.gainOffset)
    }

    mutating func linear(
        _ name: String, inputs: Int, outputs: Int, hasBias: Bool, writesResidual: Bool
    ) throws -> LinearLayer {
        var weight =
            names.storesTransposed
            ? try matrix(name, rows: inputs, columns: outputs).transposedCopy()
            : try matrix(name, rows: outputs, columns: inputs)
        if hasBias {
            let bias = try vector(name + ".bias", count: outputs)
            var joined = Matrix(rows: outputs, columns: inputs + 1)
            joined.copy(weight.slice, toRow: 0, column: 0)
            joined.copy(bias.transposed, toRow: 0, column: inputs)
            weight = joined
        }
        var layer = LinearLayer(name: name, weight: weight, hasBias: hasBias)
        try adapted?.apply(to: &layer)
        return layer
    }

    private mutating func matrix(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        try tensor(name + ".weight", rows: rows, columns: columns)
    }

    private mutating func vector(_ name: String, count: Int) throws -> Matrix {
        try tensor(name, rows: 1, columns: count)
    }

    private mutating func tensor(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        // The adapter's tensor stands for the base's, which then counts as read.
        if let replacement = try adapted?.replacement(of: name, rows: rows, columns: columns) {
            read.insert(try stored(name))
            return replacement
        }
        return try storedTensor(name, rows: rows, columns: columns)
    }

    /// A tensor of the checkpoint, whatever the adapter replaces.
    private mutating func storedTensor(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        let stored = try stored(name)
        read.insert(stored)
        return try tensors.matrix(named: stored, rows: rows, columns: columns)
    }

    /// The name under which a tensor is stored: with or without the prefix that some checkpoints omit.
    private func stored(_ name: String) throws -> String {
        if tensors.contains(name) { return name }
        var spellings = [name]
        if !names.optionalPrefix.isEmpty, name.hasPrefix(names.optionalPrefix) {
            let short = String(name.dropFirst(names.optionalPrefix.count))
            if tensors.contains(short) { return short }
            spellings.append(short)
        }
        for spelling in spellings {
            if let wrapped = tensors.names.first(where: { TensorWrapper.isWrapped(spelling, as: $0) }) {
                throw CheckpointError.wrappedTensor(spelling, stored: wrapped, folder: tensors.path)
            }
        }
        if names.experts != nil, let stacked = tensors.names.first(where: { $0.hasSuffix(".experts.gate_up_proj") }) {
            throw CheckpointError.stackedExperts(stacked, expected: name, folder: tensors.path)
        }
        throw CheckpointError.missingTensor(name, folder: tensors.path)
    }
}
