import Files
import Foundation
import LinearAlgebra
import Tokenizer

/// A parameter of a model under its name in a checkpoint.
public struct NamedParameter: Sendable {
    public let name: String
    public let shape: [Int]
    public let values: Matrix
}

extension DecoderModel {
    /// Every parameter as a checkpoint of its family stores it: biases separate from weights, and transposed if the family's are.
    ///
    /// - Throws: ``CheckpointError/unsupportedArchitecture(found:supported:)``
    public func namedParameters() throws -> [NamedParameter] {
        let names = try ModelFamily.named(description.architecture).names
        var parameters: [NamedParameter] = []
        func add(_ name: String, _ matrix: Matrix) {
            parameters.append(NamedParameter(name: name, shape: [matrix.rows, matrix.columns], values: matrix))
        }
        func addVector(_ name: String, _ vector: Matrix) {
            parameters.append(NamedParameter(name: name, shape: [vector.count], values: vector))
        }
        func add(_ norm: Normalization?) {
            guard let norm, norm.kind.hasGain else { return }
            var gain = norm.gain
            // Exact for gains from half the offset to twice the offset: subtraction then restores the stored value.
            gain.add(-norm.gainOffset)
            addVector(norm.name + ".weight", gain)
            if let bias = norm.bias { addVector(norm.name + ".bias", bias) }
        }
        func add(_ layer: LinearLayer) {
            let weight = layer.weight[columns: 0..<layer.inputWidth]
            add(layer.name + ".weight", Matrix(names.storesTransposed ? weight.transposed : weight))
            if layer.hasBias {
                addVector(
                    layer.name + ".bias",
                    Matrix(layer.weight[columns: layer.inputWidth..<layer.weight.columns].transposed))
            }
        }
        add(names.tokenEmbedding + ".weight", tokenEmbedding)
        if let positionEmbedding, let name = names.positionEmbedding { add(name + ".weight", positionEmbedding) }
        for block in blocks {
            add(block.attentionNorm)
            block.attention.inputs.forEach(add)
            add(block.attention.queryNorm?.norm)
            add(block.attention.keyNorm?.norm)
            add(block.attention.output)
            add(block.attentionOutputNorm)
            add(block.feedForwardNorm)
            [block.experts?.router, block.experts?.sharedGate].compactMap { $0 }.forEach(add)
            block.feedForwards.flatMap(\.layers).forEach(add)
            add(block.feedForwardOutputNorm)
        }
        add(finalNorm)
        if let untiedHead { add(names.head + ".weight", untiedHead) }
        if let headBias { addVector(names.head + ".bias", headBias) }
        return parameters
    }

    /// SHA-256 over the description, every parameter in Float32, and the matrices of an adapter, in hexadecimal.
    ///
    /// - Throws: ``CheckpointError/unsupportedArchitecture(found:supported:)``
    public func contentDigest() throws -> String {
        var digest = ContentDigest()
        digest.update(
            try JSONSerialization.data(withJSONObject: description.identifyingFields, options: .sortedKeys))
        for parameter in try namedParameters() {
            digest.update(Data("\(parameter.name)\(parameter.shape)".utf8))
            digest.update(parameter.values.bytes(as: .float32))
        }
        // An adapter that changes nothing yet still makes another model: its matrices have gradients.
        for adapter in linearLayers.compactMap(\.adapter) {
            digest.update(Data("\(adapter.downName)\(adapter.scale)\(adapter.rank)".utf8))
            digest.update(adapter.down.bytes(as: .float32))
            digest.update(adapter.up.bytes(as: .float32))
        }
        return digest.hexadecimal
    }
}

extension DecoderDescription {
    /// The families whose `config.json` can be written: those of models that Tributary trains.
    static let writtenArchitectures = ["gpt2", "llama"]

    /// The description as the `config.json` of its family, in a spelling that both transformers 4 and 5 read.
    ///
    /// - Precondition: The family is one of ``writtenArchitectures``.
    func configuration(endOfText: Int32?, format: NumberFormat) -> [String: Any] {
        var fields: [String: Any] = [
            "model_type": architecture, "vocab_size": vocabulary, "tie_word_embeddings": isHeadTied,
            "torch_dtype": format.torchName, "initializer_range": 0.02,
        ]
        if let endOfText {
            fields["bos_token_id"] = Int(endOfText)
            fields["eos_token_id"] = Int(endOfText)
        }
        switch position {
        case .learned:
            fields.merge([
                "architectures": ["GPT2LMHeadModel"], "n_embd": width, "n_head": heads, "n_layer": layers,
                "n_positions": contextLength, "n_inner": feedForwardWidth, "activation_function": "gelu_new",
                "layer_norm_epsilon": Double(normalizationEpsilon),
            ]) { $1 }
        case .rotary(let embedding, _):
            fields.merge([
                "architectures": ["LlamaForCausalLM"], "hidden_size": width, "num_hidden_layers": layers,
                "num_attention_heads": heads, "num_key_value_heads": keyValueHeads, "head_dim": headWidth,
                "intermediate_size": feedForwardWidth, "max_position_embeddings": contextLength, "hidden_act": "silu",
                "rms_norm_eps": Double(normalizationEpsilon), "rope_theta": embedding.base,
                "attention_bias": attentionInputBias, "mlp_bias": feedForwardBias,
            ]) { $1 }
            if let scaling = embedding.scaling.configuration { fields["rope_scaling"] = scaling }
        }
        return fields
    }

    /// All fields in which descriptions can differ, as JSON: those of `config.json` if that can be written, and every field otherwise.
    ///
    /// A model's digest includes them. A field that is added here must be omitted at its default; otherwise the digest changes, and
    /// existing factors count as those of another model.
    var identifyingFields: [String: Any] {
        if Self.writtenArchitectures.contains(architecture) { return configuration(endOfText: nil, format: .float32) }
        var fields: [String: Any] = [
            "model_type": architecture, "vocabulary": vocabulary, "context_length": contextLength, "width": width,
            "layers": layers, "heads": heads, "key_value_heads": keyValueHeads, "head_width": headWidth,
            "feed_forward_width": feedForwardWidth, "normalization_epsilon": Double(normalizationEpsilon),
            "gain_offset": Double(gainOffset), "feed_forward": feedForward.rawValue, "is_parallel": isParallel,
            "embedding_scale": Double(embeddingScale), "is_head_tied": isHeadTied,
            "windows": attention.windows.map { $0 ?? 0 },
            "query_key_norm": attention.queryKeyNorm?.rawValue ?? "none",
        ]
        let numbers = [
            "attention_scale": attention.scale, "score_cap": attention.scoreCap, "logit_cap": logitCap,
            "projection_limit": attention.projectionLimit,
        ]
        for (name, value) in numbers { fields[name] = value.map { Double($0) } }
        if let experts { fields["experts"] = experts.identifyingFields }
        if case .rotary(let embedding, let windowed) = position {
            fields["rotary"] = embedding.identifyingFields
            fields["windowed_rotary"] = windowed?.identifyingFields
        }
        return fields
    }
}

extension DecoderDescription.Experts {
    fileprivate var identifyingFields: [String: Any] {
        [
            "count": count, "per_token": perToken, "width": width, "renormalizes": renormalizes,
            "shared_width": sharedWidth ?? 0, "dense_blocks": denseBlocks.sorted(),
        ]
    }
}

extension RotaryEmbedding {
    fileprivate var identifyingFields: [String: Any] {
        var fields: [String: Any] = ["base": base, "width": width]
        fields["scaling"] = scaling.configuration
        return fields
    }
}

extension RotaryEmbedding.Scaling {
    /// As `rope_scaling` in `config.json`.
    fileprivate var configuration: [String: Any]? {
        switch self {
        case .none: nil
        case .linear(let factor): ["rope_type": "linear", "type": "linear", "factor": factor]
        case .llama3(let factor, let low, let high, let originalContext):
            [
                "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
                "original_max_position_embeddings": originalContext,
            ]
        }
    }
}

extension NumberFormat {
    fileprivate var torchName: String {
        switch self {
        case .float32: "float32"
        case .float16: "float16"
        case .bfloat16: "bfloat16"
        }
    }
}

extension Checkpoint {
    /// Writes a checkpoint folder that Hugging Face transformers loads: `config.json` and `model.safetensors`.
    ///
    /// All files, including those written by `alongside`, replace the existing ones at once (``AtomicFileSet``): the weights of one
    /// model are never beside the configuration or the tokenizer of another.
    ///
    /// - Parameter alongside: Writes more files of the checkpoint, such as those of ``Tokenizer/write(to:)``, into the folder that it
    ///   receives.
    /// - Throws: ``CheckpointError/unsupportedArchitecture(found:supported:)`` for families other than gpt2 and llama, and
    ///   ``AtomicFileError``.
    public static func write(
        _ decoder: DecoderModel, to folder: String, format: NumberFormat = .float32, endOfText: Int32? = nil,
        alongside: (_ folder: URL) throws -> Void = { _ in }
    ) throws {
        let supported = DecoderDescription.writtenArchitectures
        guard supported.contains(decoder.description.architecture) else {
            throw CheckpointError.unsupportedArchitecture(
                found: decoder.description.architecture, supported: supported)
        }
        let files = try AtomicFileSet(in: folder, mark: "config.json")
        let url = URL(fileURLWithPath: files.contents)
        var writer = SafetensorsWriter(metadata: ["format": "pt"])
        for parameter in try decoder.namedParameters() {
            writer.add(parameter.name, parameter.values, shape: parameter.shape, format: format)
        }
        try writer.write(to: url.appendingPathComponent("model.safetensors").path)
        let json = try JSONSerialization.data(
            withJSONObject: decoder.description.configuration(endOfText: endOfText, format: format),
            options: [.prettyPrinted, .sortedKeys])
        try AtomicFile.write(json, to: url.appendingPathComponent("config.json").path)
        try alongside(url)
        try files.commit()
    }
}
