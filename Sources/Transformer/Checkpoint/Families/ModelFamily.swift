/// A family of models: how its `config.json` describes a decoder, and what its tensors are called.
///
/// Adding a family is adding one of these to ``all``.
struct ModelFamily: Sendable {
    /// `model_type` in `config.json`.
    let name: String
    /// The class of the family's causal language model, as `architectures` names it.
    let causalClass: String
    /// The fields of ``ComputationFields/all`` that ``describe`` follows.
    var follows: Set<String> = []
    let describe: @Sendable (ModelConfiguration) throws -> DecoderDescription
    let names: TensorNames

    static let all: [ModelFamily] = [
        .gpt2, .gptNeo, .gptNeoX, .llama, .mistral, .qwen2, .qwen3, .olmo, .olmo2, .phi, .gemma, .gemma2, .gemma3,
    ]

    static func named(_ name: String) throws -> ModelFamily {
        guard let family = all.first(where: { $0.name == name }) else {
            throw UnsupportedModels.refusal(of: name, supported: all.map(\.name))
        }
        return family
    }

    /// The decoder that a configuration of this family describes.
    ///
    /// - Throws: ``CheckpointError`` for fields that are missing or malformed, and for options that are not supported.
    func description(of configuration: ModelConfiguration) throws -> DecoderDescription {
        try UnsupportedModels.refuseOptions(of: configuration)
        // Names differ in their capitals: LLaMAForCausalLM was one of the first.
        for name in try configuration.strings("architectures") ?? [] where name.lowercased() != causalClass.lowercased()
        {
            throw CheckpointError.otherClass(found: name, expected: causalClass)
        }
        let description = try describe(configuration)
        try configuration.requireListable(description.layers)
        try ComputationFields.refuseOthers(than: follows, in: configuration, of: description)
        return description
    }

    /// What every family with rotary positions follows.
    static let rotaryFields: Set<String> = ["rope_parameters", "rope_scaling"]

    /// What llama and its descendants follow.
    static let llamaFields = rotaryFields.union(["head_dim"])
}
