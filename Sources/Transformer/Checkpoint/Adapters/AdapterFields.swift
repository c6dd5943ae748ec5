import JSON

/// Fields of `adapter_config.json` that change what an adapter computes, beyond `W + s B A`.
///
/// Each must have a value that changes nothing. Fields that only affect training, or how the matrices began, are ignored. A switch
/// `use_…` that is not known here is refused, as later versions of PEFT name their variants so.
enum AdapterFields {
    /// The fields, and the reason why each is refused unless it is absent, null, false or empty.
    static let refused: [(name: String, reason: String)] = [
        ("use_dora", "DoRA also scales each row of the merged weight, which is not supported. \(merge)"),
        ("alora_invocation_tokens", "an activated LoRA changes only some tokens, which is not supported."),
        ("use_qalora", "QALoRA pools the inputs of each group, which is not supported."),
        ("use_bdlora", "block-diagonal LoRA is not supported. \(merge)"),
        ("arrow_config", "Arrow routes each token to one of several adapters, which is not supported."),
        ("kasa_config", "KaSA changes the base's weights as well, which is not supported. \(merge)"),
        ("monteclora_config", "MonteCLoRA samples its matrices, which is not supported. \(merge)"),
        ("layer_replication", "a model with repeated layers is not supported. \(merge)"),
        ("target_parameters", "adapters of bare parameters, such as those of experts, are not supported. \(merge)"),
        ("trainable_token_indices", "embeddings of single tokens are not supported. \(merge)"),
        ("megatron_config", "adapters of Megatron's layers are not supported."),
    ]

    private static let merge = "Merge the adapter with PEFT's merge_and_unload()."

    /// Switches that do not change what a trained adapter computes, or that are followed.
    private static let followed: Set<String> = ["use_rslora"]

    /// Values of `init_lora_weights` that also change the base's weights, by how they begin.
    private static let changingBase = ["pissa", "olora", "corda", "loftq", "lora_ga"]

    /// - Throws: ``AdapterError/unsupported(field:folder:found:reason:)``.
    static func refuse(_ members: [JSONTree.Member], folder: String) throws {
        for member in members where !isNothing(member.value) {
            var reason = refused.first { $0.name == member.name }?.reason
            if reason == nil, member.name.hasPrefix("use_"), !followed.contains(member.name) {
                reason = "this option is not known, and can change what the adapter computes. \(merge)"
            }
            if member.name == "init_lora_weights", case .string(let start) = member.value,
                changingBase.contains(where: { start.lowercased().hasPrefix($0) })
            {
                reason =
                    "this start changes the base's weights as well. Save the adapter as one of the unchanged base: PEFT's "
                    + "save_pretrained() with path_initial_model_for_weight_conversion."
            }
            guard let reason else { continue }
            throw AdapterError.unsupported(
                field: member.name, folder: folder, found: AdapterConfiguration.shown(member.value), reason: reason)
        }
    }

    private static func isNothing(_ value: JSONTree) -> Bool {
        switch value {
        case .null, .boolean(false): true
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }
}
