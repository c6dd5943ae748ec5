import ArgumentParser
import Attribution
import Foundation

/// `tributary index`: the gradient index of a workspace's corpus.
struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Index the corpus by its gradients, to find candidates by influence itself.",
        discussion: """
            One pass over the sequences keeps each one's gradient in a few kilobytes. Queries with --candidates index or both \
            then find sequences that share no word with them. An interrupted run keeps what is done: the same command goes on \
            from there. Sequences that are added later are indexed by the same command, or when the index is next used.
            """)

    @OptionGroup var location: WorkspaceOptions

    @Option(
        help: """
            Bytes kept of each tracked layer, from 1 to \(SketchLayout.valueRange.upperBound): more of them estimate influence \
            better. (default: \(SketchLayout().values))
            """)
    var values: Int?

    @Option(
        help: """
            Leading eigenvectors of each side of a layer that count, from 1 to \(SketchLayout.leadingRange.upperBound). \
            (default: \(SketchLayout().leading))
            """)
    var leading: Int?

    @Flag(help: "Make the index anew, also where there is one.")
    var rebuild = false

    @OptionGroup var workers: WorkerOptions

    func validate() throws {
        for (name, value, range) in [
            ("--values", values, SketchLayout.valueRange), ("--leading", leading, SketchLayout.leadingRange),
        ] {
            if let value, !range.contains(value) {
                throw ValidationError(
                    "\(name): expected a number from \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
    }

    func run() throws {
        let interruption = Interruption()
        let workspace = try location.open()
        let checkpoint = try workspace.loadModel()
        let corpus = try workspace.openCorpus(
            for: checkpoint, display: { ProgressLine($0) }, isCancelled: interruption.question)
        let factors = try workspace.openFactors(
            for: checkpoint, on: corpus, fitting: false, workers: workers.value, display: { ProgressLine($0) },
            isCancelled: interruption.question)

        let index: GradientIndex
        switch rebuild ? .missing : try workspace.openIndex(for: checkpoint, factors: factors, corpus: corpus) {
        case .ready(let found):
            index = found
            guard values ?? found.layout.values == found.layout.values,
                leading ?? found.layout.leading == found.layout.leading
            else { throw GradientIndexError.otherLayout(file: workspace.indexFile, found: found.layout) }
        case .missing:
            let standard = SketchLayout()
            index = try GradientIndex.create(
                path: workspace.indexFile,
                layout: SketchLayout(leading: leading ?? standard.leading, values: values ?? standard.values),
                modelDigest: checkpoint.digest, factors: factors)
        case .unusable(let error): throw error
        }

        let sequences = try corpus.statistics().sequences
        let display = ProgressLine("indexing gradients")
        do {
            var done = index.sequences
            try index.extend(
                to: sequences, of: corpus, decoder: checkpoint.decoder, workers: workers.value,
                progress: {
                    done = $0
                    display.update($0, of: $1, unit: "sequences")
                },
                step: {
                    if interruption.question() { throw GradientIndexError.interrupted(done: done, total: sequences) }
                })
            display.finish()
        } catch {
            display.abandon()
            throw error
        }
        print(
            """
            indexed: \(index.sequences) sequences, \(index.recordBytes) bytes each, \
            \(index.sequences * index.recordBytes / 1_000_000) MB in \(workspace.indexFile)
            """)
    }
}
