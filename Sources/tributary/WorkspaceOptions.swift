import ArgumentParser
import Attribution
import Limits
import LinearAlgebra

/// The options that say which model and which workspace a command works on.
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
            The folder with the corpus, the factors and the jobs of one model. Only one process can use it at a time. (default: a \
            folder named after the model, in $XDG_DATA_HOME or ~/.local/share)
            """, valueName: "folder"),
        completion: .directory)
    var workspace: String?

    /// The workspace, locked.
    func open() throws -> Workspace {
        try Workspace(of: ModelSource(path: model), folder: workspace)
    }
}

/// How exactly a sweep computes.
struct PrecisionOptions: ParsableArguments {
    @Option(
        help: """
            The precision of a sweep's products: fp32, or bf16, which is several times as fast on some processors and not \
            supported by others (`tributary inspect` measures both). The best candidates are scored again in fp32. (default: fp32)
            """)
    var precision: SweepPrecision?

    var value: SweepPrecision { precision ?? .float32 }
}

extension SweepPrecision: ExpressibleByArgument {}

/// How many threads compute.
struct WorkerOptions: ParsableArguments {
    @Option(help: "How many threads compute. (default: one per core)")
    var workers: Int?

    var value: Workers { workers.map { Workers(count: $0) } ?? Workers() }

    func validate() throws {
        try Workers.limit.check(workers, of: "--workers")
    }
}
