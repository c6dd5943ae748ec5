/// A family of models: how its `config.json` describes a decoder, and what its tensors are called.
///
/// Adding a family is adding one of these to ``all``.
struct ModelFamily: Sendable {
    /// `model_type` in `config.json`.
    let name: String
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
        let description = try describe(configuration)
        try configuration.requireListable(description.layers)
        return description
    }
}
