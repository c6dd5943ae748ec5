import Foundation

/// Why a checkpoint folder cannot be used.
public enum CheckpointError: Error, Equatable, CustomStringConvertible {
    case noSuchModel(path: String)
    case missingFile(String, folder: String)
    case malformedConfiguration(field: String, expected: String, found: String)
    case unsupportedArchitecture(found: String, supported: [String])
    case unsupportedOption(field: String, found: String, supported: String)
    case unsupportedPart(String, field: String, found: String)
    case missingTensor(String, folder: String)
    case vocabularyMismatch(tokenizer: Int, model: Int)
    /// Two fields of the configuration contradict each other.
    case contradiction(field: String, found: String, other: String, otherFound: String)
    /// The configuration names a class that is not the causal language model of its `model_type`.
    case otherClass(found: String, expected: String)
    /// Tensors that nothing in the model reads.
    case unreadTensors([String], folder: String)
    case wrappedTensor(String, stored: String, folder: String)
    case tiedHeadDiffers(head: String, embedding: String, folder: String)
    /// All experts of a block are in one tensor.
    case stackedExperts(String, expected: String, folder: String)

    public var description: String {
        switch self {
        case .noSuchModel(let path):
            "\(path): there is no such folder and no such file. Tributary downloads nothing: if it is the name of a model on the "
                + "Hugging Face hub, get it with `hf download \(path) --local-dir FOLDER`, and give that folder."
        case .stackedExperts(let stacked, let expected, let folder):
            "\(folder): \(SafetensorsError.quoted(stacked)) has the weights of all experts in one tensor; expected one tensor per "
                + "expert, such as \(SafetensorsError.quoted(expected)), as published checkpoints have them. Save the model with "
                + "save_pretrained of transformers, which writes them apart."
        case .missingFile(let file, let folder):
            "\(folder): there is no \(file). A checkpoint folder has config.json, tokenizer.json and model.safetensors "
                + "(or its shards with model.safetensors.index.json)."
        case .malformedConfiguration(let field, let expected, let found):
            "config.json: \(field): expected \(expected), found \(found)."
        case .unsupportedArchitecture(let found, let supported):
            "config.json: model_type is \"\(found)\"; the supported ones are \(supported.joined(separator: ", "))."
        case .unsupportedOption(let field, let found, let supported):
            "config.json: \(field) is \(found); Tributary supports \(supported)."
        case .unsupportedPart(let part, let field, let found):
            "config.json: \(field) is \(found): the model needs \(part), which is not supported."
        case .missingTensor(let name, let folder):
            "\(folder): there is no tensor \"\(name)\", which a model of this description has. The files belong to different models, "
                + "or one of them is incomplete: download them again."
        case .vocabularyMismatch(let tokenizer, let model):
            "tokenizer.json has ids up to \(tokenizer - 1), but the model's vocabulary ends at \(model - 1): they belong to "
                + "different models."
        case .contradiction(let field, let found, let other, let otherFound):
            "config.json: \(field) is \(found) and \(other) is \(otherFound), which contradict each other. Remove the wrong one."
        case .otherClass(let found, let expected):
            "config.json: architectures names \(SafetensorsError.quoted(found)), which is not \(expected), the causal language model "
                + "of its model_type\(Self.use(ofClass: found)). Use a checkpoint of \(expected)."
        case .unreadTensors(let names, let folder):
            "\(folder): nothing in the model that config.json describes reads \(Self.listed(names))\(Self.owner(of: names)). "
                + "config.json omits their purpose or belongs to another model: use the one that belongs to these weights."
        case .wrappedTensor(let name, let stored, let folder):
            "\(folder): the tensor \(SafetensorsError.quoted(name)) is called \(SafetensorsError.quoted(stored)): "
                + TensorWrapper.explanation(of: name, stored: stored)
        case .tiedHeadDiffers(let head, let embedding, let folder):
            "\(folder): tie_word_embeddings says that the output head is the token embedding, but \"\(head)\" differs from "
                + "\"\(embedding)\". If the head was trained, set tie_word_embeddings to false in config.json; otherwise remove the head "
                + "from the file."
        }
    }
}

extension CheckpointError {
    /// The first names, and the number of the others.
    private static func listed(_ names: [String]) -> String {
        let shown = names.prefix(3).map(SafetensorsError.quoted).joined(separator: ", ")
        let noun = names.count == 1 ? "the tensor" : "the tensors"
        return "\(noun) \(shown)\(names.count > 3 ? " and \(names.count - 3) more" : "")"
    }

    /// The likely owner of tensors, by the words in their names.
    private static func owner(of names: [String]) -> String {
        func some(_ words: String...) -> Bool {
            names.contains { name in words.contains { name.lowercased().contains($0) } }
        }
        if some("lora_", "adapter") {
            return ", which belong to an adapter: merge it with PEFT's merge_and_unload() first"
        }
        if some("score.", "classifier", "v_head", "value_head", "reward_head") {
            return ", which belong to a reward model or classifier: that is not a language model"
        }
        return ""
    }

    /// The use of a model class, by the end of its name.
    private static func use(ofClass name: String) -> String {
        if name.hasSuffix("Classification") || name.contains("Reward") || name.contains("Score") {
            return ": a classifier or reward model gives no probabilities of tokens"
        }
        if name.hasSuffix("QuestionAnswering") || name.hasSuffix("MultipleChoice") {
            return ": it chooses among answers, and gives no probabilities of tokens"
        }
        if name.hasSuffix("Model") { return ": it has no output head, and gives no probabilities of tokens" }
        return ""
    }
}

/// Prefixes that programs add to tensor names when they save a wrapper rather than the model in it.
enum TensorWrapper {
    /// The origin of each prefix, which can be a part of the whole prefix.
    private static let known: [(prefix: String, origin: String)] = [
        ("_orig_mod", "torch.compile"), ("_fsdp_wrapped_module", "FullyShardedDataParallel"),
        ("module", "DataParallel, DistributedDataParallel or DeepSpeed"), ("base_model", "a PEFT adapter's wrapper"),
        ("pretrained_model", "TRL's model with a value head"), ("language_model", "a model with a vision tower"),
    ]

    /// Whether a stored name is another name with a prefix, or without its first part.
    static func isWrapped(_ name: String, as stored: String) -> Bool {
        stored.hasSuffix("." + name) || stored == inner(name)
    }

    /// A name without its first part, if it has more than two parts.
    private static func inner(_ name: String) -> String? {
        let parts = name.split(separator: ".", maxSplits: 1)
        return parts.count == 2 && parts[1].contains(".") ? String(parts[1]) : nil
    }

    /// The reason for the difference between two such names, and its remedy.
    static func explanation(of name: String, stored: String) -> String {
        guard stored.hasSuffix("." + name) else {
            let prefix = name.prefix(name.count - stored.count)
            return "the prefix \"\(prefix)\" is missing, as in a model that was saved without its output head. "
                + "Save the causal language model."
        }
        let prefix = stored.dropLast(name.count)
        let origins = known.filter { entry in prefix.split(separator: ".").contains { $0 == entry.prefix } }
            .map(\.origin)
        let origin = origins.isEmpty ? "a program that wrapped the model" : origins.joined(separator: " and ")
        return
            "the prefix \(SafetensorsError.quoted(String(prefix))) was left by \(origin). Save the wrapped model, or remove "
            + "the prefix from every name: {name.removeprefix(\(SafetensorsError.quoted(String(prefix)))): tensor for name, tensor in "
            + "tensors.items()}."
    }
}
