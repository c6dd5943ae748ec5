import ArgumentParser
import Attribution

struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Index the corpus by its gradients, to find candidates by estimated influence.",
        discussion: """
            One pass over the sequences stores each one's gradient in a few kilobytes. Queries with --candidates index or both \
            then also find sequences without lexical overlap. An interrupted run keeps what is done: the same command continues \
            from there. Sequences that are added later are indexed by the same command, or when the index is next used.
            """)

    @OptionGroup var location: WorkspaceOptions

    @Option(
        help: """
            How many signs to store per tracked layer: a multiple of 64 up to \(SketchLayout.signRange.upperBound). More signs \
            estimate influence better, and take an eighth of a byte each. (default: \(SketchLayout().signs))
            """)
    var signs: Int?

    @Option(
        help: """
            How many leading eigenvectors to use on each side of a layer, from 1 to \(SketchLayout.leadingRange.upperBound). \
            (default: \(SketchLayout().leading))
            """)
    var leading: Int?

    @Flag(help: "Build the index from scratch, even if there is one.")
    var rebuild = false

    @OptionGroup var workers: WorkerOptions

    func validate() throws {
        let standard = SketchLayout()
        if let signs, !SketchLayout.isPossible(leading: standard.leading, signs: signs) {
            let limit = SketchLayout.signRange.upperBound
            throw ValidationError("--signs: expected a multiple of 64 up to \(limit), found \(signs)")
        }
        if let leading, !SketchLayout.isPossible(leading: leading, signs: standard.signs) {
            let limit = SketchLayout.leadingRange.upperBound
            throw ValidationError("--leading: expected a number from 1 to \(limit), found \(leading)")
        }
    }

    func run() throws {
        let interruption = Interruption()
        let workspace = try location.open()
        let contents = try workspace.openContents(fitting: false, workers: workers.value, interruption: interruption)
        let (checkpoint, corpus, factors) = (contents.checkpoint, contents.corpus, contents.factors)
        let index: GradientIndex
        switch rebuild ? .missing : try workspace.openIndex(for: contents) {
        case .ready(let found):
            index = found
            guard signs ?? found.layout.signs == found.layout.signs,
                leading ?? found.layout.leading == found.layout.leading
            else { throw GradientIndexError.otherLayout(file: workspace.indexFile, found: found.layout) }
        case .missing:
            let standard = SketchLayout()
            index = try GradientIndex.create(
                path: workspace.indexFile,
                layout: SketchLayout(leading: leading ?? standard.leading, signs: signs ?? standard.signs),
                modelDigest: checkpoint.digest, factors: factors)
        case .unusable(let error): throw error
        }

        let sequences = try corpus.statistics().sequences
        let display = ProgressLine("indexing gradients")
        do {
            let isInterrupted = interruption.question
            try index.extend(
                to: sequences, of: corpus, decoder: checkpoint.decoder, workers: workers.value,
                progress: { display.update($0, of: $1, unit: "sequences") },
                step: { [index] in
                    guard isInterrupted() else { return }
                    throw GradientIndexError.interrupted(done: index.sequences, total: sequences)
                })
            display.finish()
        } catch {
            display.abandon()
            throw error
        }
        print(
            """
            indexed: \(index.sequences) sequences, \(index.recordBytes) bytes each, \
            \(index.sequences * index.recordBytes / 1_000_000) MB in \(workspace.indexFile.escaped)
            """)
    }
}
