import ArgumentParser
import Curvature
import Foundation
import InfluenceService
import Transformer

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe a model or a workspace, the memory it needs, and what a fit and a sweep would cost.",
        discussion: """
            A model is loaded as every other command loads it: a model that is described here is supported. Times come from a short \
            measurement on this machine in its present state, which takes a few seconds for small models and longer for large ones.

              tributary inspect SmolLM2-135M-Instruct.Q4_1.gguf
              tributary inspect ~/.local/share/tributary/SmolLM2-135M-1a2b3c4d --model SmolLM2-135M --json
            """)

    @Argument(
        help: ArgumentHelp(
            "A Hugging Face checkpoint folder, a GGUF file, or a workspace. (default: the embedded model)",
            valueName: "model|workspace"),
        completion: .file())
    var path: String?

    @Option(
        help: ArgumentHelp(
            "The model of the workspace, to estimate its costs on the workspace's corpus.", valueName: "path"),
        completion: .file())
    var model: String?

    @Option(
        help: ArgumentHelp("The folder of a PEFT LoRA adapter, which is applied to the model.", valueName: "folder"),
        completion: .directory)
    var adapter: String?

    @Option(
        help: "A YAML file of settings, for the estimate of a server's memory. (default: the settings that serve has)",
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Option(
        help: """
            Which linear layers' parameters count: mlp, those of every MLP; attention; all of these; or adapter, the adapter's own \
            matrices.
            """)
    var track = Fit.Track.mlp

    @Option(
        help: """
            Estimate for covariances split into diagonal blocks of at most this size, as by fit --largest-block. (default: as the \
            workspace's factors are, otherwise not split)
            """)
    var largestBlock: Int?

    @Option(
        help: """
            Estimate the costs of this many sequences. (default: as many as the workspace has, or 1000 if there is no corpus)
            """)
    var sequences: Int?

    @Flag(inversion: .prefixedNo, help: "Measure how fast this machine runs the model.")
    var measure = true

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var workers: WorkerOptions
    @OptionGroup var color: ColorOptions

    /// The tokens of the measured sequence: enough for the products to have their usual shapes.
    private static let measuredLength = 256
    private static let assumedSequences = 1_000

    func validate() throws {
        try CorpusLoad.limit.check(sequences, of: "--sequences")
        try FactorFit.Limits.largestBlock.check(largestBlock, of: "--largest-block")
    }

    func run() throws {
        let inspection = try inspection()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.keyEncodingStrategy = .convertToSnakeCase
            print(String(decoding: try encoder.encode(inspection), as: UTF8.self))
        } else {
            print(InspectionText(style: .standardOutput(hasColor: color.color.choice)).text(of: inspection))
        }
    }

    private func inspection() throws -> Inspection {
        let named = path.map { URL(fileURLWithPath: $0).standardizedFileURL }
        if let named, WorkspaceInspection.isWorkspace(named) {
            let workspace = try WorkspaceInspection(folder: named)
            let model = try model.map { try inspect(ModelSource(path: $0, adapter: adapter).load(), workspace) }
            return Inspection(model: model, workspace: workspace, server: try server(of: model, in: named))
        }
        guard model == nil || path == nil else {
            throw ValidationError("--model: expected only with a workspace, and \(path ?? "") is not one")
        }
        let source = ModelSource(path: path ?? model, adapter: adapter)
        let checkpoint = try source.load()
        let folder = Workspace.folder(of: source, checkpoint)
        let workspace =
            WorkspaceInspection.isWorkspace(folder) ? try WorkspaceInspection(folder: folder) : nil
        let model = try inspect(checkpoint, workspace)
        return Inspection(model: model, workspace: workspace, server: try server(of: model, in: folder))
    }

    private func server(of model: ModelInspection?, in folder: URL) throws -> MemoryBound? {
        var settings = try config.map { try Configuration(file: URL(fileURLWithPath: $0)) } ?? Configuration()
        try settings.apply(environment: ProcessInfo.processInfo.environment)
        // A workspace without an index maps nothing.
        let attributes = try? FileManager.default.attributesOfItem(atPath: Workspace.indexFile(in: folder))
        let mapped = (attributes?[.size] as? NSNumber)?.intValue ?? 0
        guard let memory = model?.memory, let workspace = memory.workspace else { return nil }
        return MemoryBound(
            of: settings,
            model: MemoryBound.Model(
                weights: memory.weights, factors: memory.factors, workers: memory.workers, workspace: workspace,
                gradient: memory.fullQuery, completion: memory.completion, mapped: mapped))
    }

    private func inspect(_ checkpoint: Checkpoint, _ workspace: WorkspaceInspection?) throws -> ModelInspection {
        let context = checkpoint.decoder.description.contextLength
        let length = min(context, Workspace.longestDefaultSequence)
        var load =
            workspace?.corpus?.load
            ?? CorpusLoad(sequences: Self.assumedSequences, tokens: Self.assumedSequences * length)
        if let sequences { load = load.resized(to: sequences) }
        try track.check(checkpoint.decoder)
        let tracked = TrackedLayers(of: checkpoint.decoder, track.selection)
        return ModelInspection(
            of: checkpoint, tracking: track.selection,
            largestBlock: largestBlock ?? workspace?.factors?.provenance?.largestBlock, load: load,
            workers: workers.value.count,
            measurement: measure
                ? try MachineMeasurement(
                    of: checkpoint.decoder, tracked: tracked, length: Self.measuredLength, workers: workers.value)
                : nil)
    }
}
