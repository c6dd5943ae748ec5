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
