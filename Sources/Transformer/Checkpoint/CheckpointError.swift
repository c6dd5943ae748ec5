import Foundation

/// Why a checkpoint folder cannot be used.
public enum CheckpointError: Error, Equatable, CustomStringConvertible {
    case missingFile(String, folder: String)
    case malformedConfiguration(field: String, expected: String, found: String)
    case unsupportedArchitecture(found: String, supported: [String])
    case unsupportedOption(field: String, found: String, supported: String)
    case unsupportedPart(String, field: String, found: String)
    case missingTensor(String, folder: String)
    case vocabularyMismatch(tokenizer: Int, model: Int)
    /// Two fields of the configuration that cannot both be meant.
    case contradiction(field: String, found: String, other: String, otherFound: String)
    /// The configuration names a class that is no language model, or another one than its `model_type` has.
    case otherClass(found: String, expected: String)
    case adapter(folder: String, file: String, kind: String?, base: String?)
    /// Tensors that nothing in the model reads.
    case unreadTensors([String], folder: String)
    case wrappedTensor(String, stored: String, folder: String)
    case tiedHeadDiffers(head: String, embedding: String, folder: String)

    public var description: String {
        switch self {
        case .missingFile(let file, let folder):
            "\(folder): there is no \(file). A checkpoint folder has config.json, tokenizer.json and model.safetensors "
                + "(or its shards with model.safetensors.index.json)."
        case .malformedConfiguration(let field, let expected, let found):
            "config.json: \(field): expected \(expected), found \(found)."
        case .unsupportedArchitecture(let found, let supported):
            "config.json: model_type is \"\(found)\"; supported are \(supported.joined(separator: ", "))."
        case .unsupportedOption(let field, let found, let supported):
            "config.json: \(field) is \(found); supported is \(supported)."
        case .unsupportedPart(let part, let field, let found):
            "config.json: \(field) is \(found): the model needs \(part), which is not supported."
        case .missingTensor(let name, let folder):
            "\(folder): there is no tensor \"\(name)\", which a model of this description has. The files are not of one model, or one "
                + "of them is incomplete: download them again."
        case .vocabularyMismatch(let tokenizer, let model):
            "tokenizer.json has ids up to \(tokenizer - 1), but the model's vocabulary ends at \(model - 1): they are not of "
                + "one model."
        case .contradiction(let field, let found, let other, let otherFound):
            "config.json: \(field) is \(found) and \(other) is \(otherFound): both cannot be meant. Remove the one that is not."
        case .otherClass(let found, let expected):
            "config.json: architectures names \(SafetensorsError.quoted(found)), which is not \(expected), the causal language model "
                + "of its model_type\(Self.use(ofClass: found)). Use a checkpoint of \(expected)."
        case .adapter(let folder, let file, let kind, let base):
            "\(folder): \(file) shows that this is an adapter\(kind.map { " (\($0))" } ?? "")"
                + "\(base.map { " of \(SafetensorsError.quoted($0))" } ?? ""), and adapters are not applied. Merge it into its model "
                + "with PEFT's merge_and_unload() and save that; for the model without it, take the adapter's files out of the folder."
        case .unreadTensors(let names, let folder):
            "\(folder): nothing in the model that config.json describes reads \(Self.listed(names))\(Self.owner(of: names)). "
                + "config.json leaves out what they are for, or is of another model: take the one that belongs to these weights."
        case .wrappedTensor(let name, let stored, let folder):
            "\(folder): the tensor \(SafetensorsError.quoted(name)) is called \(SafetensorsError.quoted(stored)): "
                + TensorWrapper.explanation(of: name, stored: stored)
        case .tiedHeadDiffers(let head, let embedding, let folder):
            "\(folder): tie_word_embeddings says that the output head is the token embedding, but \"\(head)\" differs from "
                + "\"\(embedding)\". If it is the head that was trained, set tie_word_embeddings to false in config.json; if not, remove "
                + "it from the file."
        }
    }
}

extension CheckpointError {
    /// The first of some names, and how many more there are.
    private static func listed(_ names: [String]) -> String {
        let shown = names.prefix(3).map(SafetensorsError.quoted).joined(separator: ", ")
        let noun = names.count == 1 ? "the tensor" : "the tensors"
        return "\(noun) \(shown)\(names.count > 3 ? " and \(names.count - 3) more" : "")"
    }

    /// What tensors are likely to belong to, by the words in their names.
    private static func owner(of names: [String]) -> String {
        func some(_ words: String...) -> Bool {
            names.contains { name in words.contains { name.lowercased().contains($0) } }
        }
        if some("lora_", "adapter") { return ", which are an adapter's: merge it with PEFT's merge_and_unload() first" }
        if some("score.", "classifier", "v_head", "value_head", "reward_head") {
            return ", which are a reward model's or classifier's: that is no language model"
        }
        return ""
    }

    /// What a model of a class is for, by the end of its name.
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

/// What programs put in front of a model's tensor names when they save the wrapper rather than the model in it.
enum TensorWrapper {
    /// What leaves a prefix, by the prefix or a part of it.
    private static let known: [(prefix: String, origin: String)] = [
        ("_orig_mod", "torch.compile"), ("_fsdp_wrapped_module", "FullyShardedDataParallel"),
        ("module", "DataParallel, DistributedDataParallel or DeepSpeed"), ("base_model", "a PEFT adapter's wrapper"),
        ("pretrained_model", "TRL's model with a value head"), ("language_model", "a model with a vision tower"),
    ]

    /// Whether a stored name is another name with something in front of it, or with its first part missing.
    static func isWrapped(_ name: String, as stored: String) -> Bool {
        stored.hasSuffix("." + name) || stored == inner(name)
    }

    /// A name without its first part, where it has more than a module's and a parameter's.
    private static func inner(_ name: String) -> String? {
        let parts = name.split(separator: ".", maxSplits: 1)
        return parts.count == 2 && parts[1].contains(".") ? String(parts[1]) : nil
    }

    /// Where the difference between two such names comes from, and what to do about it.
    static func explanation(of name: String, stored: String) -> String {
        guard stored.hasSuffix("." + name) else {
            let prefix = name.prefix(name.count - stored.count)
            return "the prefix \"\(prefix)\" is missing, as where a model was saved without its output head. "
                + "Save the causal language model."
        }
        let prefix = stored.dropLast(name.count)
        let origins = known.filter { entry in prefix.split(separator: ".").contains { $0 == entry.prefix } }
            .map(\.origin)
        let origin = origins.isEmpty ? "a program that wrapped the model" : origins.joined(separator: " and ")
        return
            "the prefix \(SafetensorsError.quoted(String(prefix))) was left by \(origin). Save the model that is wrapped, or take "
            + "the prefix off every name: {name.removeprefix(\(SafetensorsError.quoted(String(prefix)))): tensor for name, tensor in "
            + "tensors.items()}."
    }
}
