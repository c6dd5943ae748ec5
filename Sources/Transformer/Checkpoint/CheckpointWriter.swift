import Digest
import Foundation
import LinearAlgebra

/// A parameter of a model under its name in a checkpoint.
public struct NamedParameter: Sendable {
    public let name: String
    public let shape: [Int]
    public let values: Matrix
}

extension DecoderModel {
    /// Every parameter as a checkpoint of its family stores it: biases apart from weights, and transposed where the family
    /// does so.
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
        func add(_ norm: Normalization) {
            addVector(norm.name + ".weight", norm.gain)
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
            add(block.attention.output)
            add(block.feedForwardNorm)
            [block.feedForward.gate, block.feedForward.up, block.feedForward.down].compactMap { $0 }.forEach(add)
        }
        add(finalNorm)
        if let untiedHead { add(names.head + ".weight", untiedHead) }
        return parameters
    }

    /// The number of parameters, a tied head counted once.
    public var parameterCount: Int {
        let perBlock = blocks.map { block in
            block.attention.inputs.reduce(0) { $0 + $1.weight.count } + block.attention.output.weight.count
                + (block.feedForward.gate?.weight.count ?? 0) + block.feedForward.up.weight.count
                + block.feedForward.down.weight.count + block.attentionNorm.parameterCount
                + block.feedForwardNorm.parameterCount
        }
        return perBlock.reduce(0, +) + tokenEmbedding.count + (positionEmbedding?.count ?? 0)
            + finalNorm.parameterCount + (untiedHead?.count ?? 0)
    }

    /// SHA-256 over what `config.json` says and every parameter in Float32, in hexadecimal.
    ///
    /// - Throws: ``CheckpointError/unsupportedArchitecture(found:supported:)``
    public func contentDigest() throws -> String {
        var digest = ContentDigest()
        digest.update(
            try JSONSerialization.data(
                withJSONObject: description.configuration(endOfText: nil, format: .float32), options: .sortedKeys))
        for parameter in try namedParameters() {
            digest.update(Data("\(parameter.name)\(parameter.shape)".utf8))
            digest.update(parameter.values.bytes(as: .float32))
        }
        return digest.hexadecimal
    }
}

extension Normalization {
    var parameterCount: Int { gain.count + (bias?.count ?? 0) }
}

extension DecoderDescription {
    /// The description as the `config.json` of its family, in the spelling that transformers 4 and 5 both read.
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
        case .rotary(let base):
            fields.merge([
                "architectures": ["LlamaForCausalLM"], "hidden_size": width, "num_hidden_layers": layers,
                "num_attention_heads": heads, "num_key_value_heads": keyValueHeads, "head_dim": headWidth,
                "intermediate_size": feedForwardWidth, "max_position_embeddings": contextLength, "hidden_act": "silu",
                "rms_norm_eps": Double(normalizationEpsilon), "rope_theta": base,
                "attention_bias": attentionInputBias, "mlp_bias": feedForwardBias,
            ]) { $1 }
        }
        return fields
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
    /// Each file is written beside its place, synced and renamed into it. The tokenizer's files are written by
    /// ``Tokenizer/write(to:)``.
    public static func write(
        _ decoder: DecoderModel, to folder: String, format: NumberFormat = .float32, endOfText: Int32? = nil
    ) throws {
        let url = URL(fileURLWithPath: folder)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        var writer = SafetensorsWriter(metadata: ["format": "pt"])
        for parameter in try decoder.namedParameters() {
            writer.add(parameter.name, parameter.values, shape: parameter.shape, format: format)
        }
        try writer.write(to: url.appendingPathComponent("model.safetensors").path)
        let json = try JSONSerialization.data(
            withJSONObject: decoder.description.configuration(endOfText: endOfText, format: format),
            options: [.prettyPrinted, .sortedKeys])
        try AtomicFile.write(json, to: url.appendingPathComponent("config.json").path)
    }
}
