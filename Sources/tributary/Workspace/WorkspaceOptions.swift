import ArgumentParser

struct WorkspaceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            A Hugging Face checkpoint folder (config.json, tokenizer.json and safetensors), or a GGUF file. (default: the embedded \
            model)
            """, valueName: "path"),
        completion: .file(extensions: ["gguf"]))
    var model: String?

    @Option(
        help: ArgumentHelp(
            """
            The folder of a PEFT LoRA adapter (adapter_config.json and adapter_model.safetensors), which is applied to the model. \
            (default: none)
            """, valueName: "folder"),
        completion: .directory)
    var adapter: String?

    @Option(
        help: ArgumentHelp(
            """
            The folder with the corpus, the factors and the jobs of one model. Only one process can use it at a time. (default: a \
            folder named after the model, in $XDG_DATA_HOME or ~/.local/share)
            """, valueName: "folder"),
        completion: .directory)
    var workspace: String?

    var source: ModelSource { ModelSource(path: model, adapter: adapter) }

    func open() throws -> Workspace { try Workspace(of: source, folder: workspace) }
}
