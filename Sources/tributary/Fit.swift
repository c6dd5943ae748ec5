import ArgumentParser
import Curvature
import Foundation
import Limits
import Transformer

/// `tributary fit`: EK-FAC factors from a workspace's corpus.
struct Fit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fit a model's EK-FAC factors on its corpus.",
        discussion: """
            Two passes over the sequences, with an eigendecomposition between them. An interrupted fit keeps its state: the same \
            command goes on from there, and gives the factors that an undisturbed fit gives. Factors that are there already are \
            replaced when the new ones are complete. A state that cannot be saved costs the fit nothing but that; one that was \
            damaged is not used.
            """)

    @OptionGroup var location: WorkspaceOptions

    @Option(
        help: """
            Whose labels the gradients are of: sampled from the model's own output distribution (the true Fisher), or empirical, \
            the text's own next tokens.
            """)
    var fisher = FactorProvenance.Fisher.sampled

    @Option(help: "Sequences to fit on, evenly spread over the corpus. (default: all)")
    var maxSequences: Int?

    @Option(
        help: """
            Split the covariances of layers wider than this into blocks on the diagonal, no larger: less memory and time for layers \
            that would not fit, and a coarser curvature. (default: all whole)
            """)
    var largestBlock: Int?

    @Option(help: "Decides which labels are sampled. One seed and number of workers give the same factors bit for bit.")
    var seed: UInt64 = 0

    @Option(help: "Whose influence is computed: that of the linear layers of every mlp, of attention, or of all.")
    var track = Track.mlp

    @OptionGroup var workers: WorkerOptions

    enum Track: String, CaseIterable, ExpressibleByArgument {
        case mlp, attention, all

        var selection: LayerSelection {
            switch self {
            case .mlp: .feedForward
            case .attention: .attention
            case .all: .all
            }
        }
    }

    func validate() throws {
        try FactorFit.Limits.sequences.check(maxSequences, of: "--max-sequences")
        try FactorFit.Limits.largestBlock.check(largestBlock, of: "--largest-block")
    }

    func run() throws {
        let interruption = Interruption()
        let workspace = try location.open()
        let checkpoint = try workspace.loadModel()
        let corpus = try workspace.openCorpus(
            for: checkpoint, display: { ProgressLine($0) }, isCancelled: interruption.question)
        let factors = try workspace.fitFactors(
            for: checkpoint, on: corpus,
            settings: FitSettings(
                fisher: fisher, selection: track.selection, maximumSequences: maxSequences, seed: seed,
                largestBlock: largestBlock, workers: workers.value),
            display: { ProgressLine($0) }, isCancelled: interruption.question)
        let provenance = factors.provenance
        print(
            """
            fitted: \(factors.layers.count) layers on \(provenance.sequences) sequences of \(provenance.tokens ?? 0) tokens, \
            \(factors.byteCount / 1_000_000) MB in \(workspace.factorsFolder)
            """)
    }
}

extension FactorProvenance.Fisher: ExpressibleByArgument {}
