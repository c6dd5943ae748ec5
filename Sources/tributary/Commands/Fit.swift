import ArgumentParser
import Curvature
import Transformer

struct Fit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fit a model's EK-FAC factors on its corpus.",
        discussion: """
            A fit makes two passes over the sequences, with an eigendecomposition between them. An interrupted fit keeps its state: \
            the same command continues from there, and gives the same factors as an undisturbed fit. Existing factors are replaced \
            when the new ones are complete. If its state cannot be saved, the fit continues; if the saved state is damaged, the \
            fit starts from the beginning.
            """)

    @OptionGroup var location: WorkspaceOptions

    @Option(
        help: """
            The labels of the gradients: sampled, from the model's own output distribution (the true Fisher matrix); or empirical, \
            the next tokens of the text.
            """)
    var fisher = FactorProvenance.Fisher.sampled

    @Option(help: "How many sequences to fit on, evenly spread over the corpus. (default: all)")
    var maxSequences: Int?

    @Option(
        help: """
            Split the covariances of layers wider than this into diagonal blocks of at most this size. That takes less memory and \
            time, and makes the curvature coarser. (default: do not split)
            """)
    var largestBlock: Int?

    @Option(
        help: "The seed for sampled labels. The same seed and number of workers give the same factors, bit for bit.")
    var seed: UInt64 = 0

    @Option(
        help: """
            Which linear layers' parameters count: mlp, those of every MLP; attention; all of these; or adapter, the adapter's own \
            matrices.
            """)
    var track = Track.mlp

    @OptionGroup var workers: WorkerOptions

    enum Track: String, CaseIterable, ExpressibleByArgument {
        case mlp, attention, all, adapter

        var selection: LayerSelection {
            switch self {
            case .mlp: .feedForward
            case .attention: .attention
            case .all: .all
            case .adapter: .adapter
            }
        }

        /// Refuses to track the adapter of a model without one.
        func check(_ decoder: DecoderModel) throws {
            guard self == .adapter, !decoder.hasAdapters else { return }
            throw ValidationError(
                "--track: the model has no adapter on a linear layer of its blocks; name one with --adapter, or track mlp, attention "
                    + "or all")
        }
    }

    func validate() throws {
        try FactorFit.Limits.sequences.check(maxSequences, of: "--max-sequences")
        try FactorFit.Limits.largestBlock.check(largestBlock, of: "--largest-block")
    }

    func run() throws {
        let interruption = Interruption()
        let control = TerminalControl(isCancelled: interruption.question)
        let workspace = try location.open()
        let checkpoint = try workspace.loadModel()
        try track.check(checkpoint.decoder)
        if track == .adapter, let warning = Self.warning(ofUntracked: checkpoint.untrackedAdapterTensors) {
            printError("tributary: warning: \(warning)")
        }
        let corpus = try workspace.openCorpus(for: checkpoint, control)
        let factors = try workspace.fitFactors(
            for: checkpoint, on: corpus,
            settings: FitSettings(
                fisher: fisher, selection: track.selection, maximumSequences: maxSequences, seed: seed,
                largestBlock: largestBlock, workers: workers.value), control)
        for warning in factors.warnings { printError("tributary: warning: \(warning)") }
        // A warning has room for the first of them only.
        for expert in factors.rarelyUsedExperts.dropFirst(EKFACFactors.namesInWarning) {
            printError("tributary: warning: few tokens: \("\(expert)".escaped)")
        }
        let provenance = factors.provenance
        print(
            """
            fitted: \(factors.layers.count) layers on \(provenance.sequences) sequences of \(provenance.tokens ?? 0) tokens, \
            \(factors.byteCount / 1_000_000) MB in \(workspace.factorsFolder.escaped)
            """)
    }
}

extension Fit {
    /// A sentence that names the parts of an adapter that have no influence if only its matrices are tracked.
    private static func warning(ofUntracked tensors: [String]) -> String? {
        guard let first = tensors.first else { return nil }
        let others = tensors.count > 1 ? " and \(tensors.count - 1) more" : ""
        return
            "nothing has influence through \(first.escaped)\(others): only low-rank changes of the blocks' linear layers are tracked"
    }
}

extension FactorProvenance.Fisher: ExpressibleByArgument {}
