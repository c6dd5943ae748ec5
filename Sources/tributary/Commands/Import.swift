import ArgumentParser
import Corpus

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Import the text that a model was trained on.",
        discussion: """
            JSON lines have one object per line. An object has a "text"; or a "prompt" and a "completion", which carries the loss; or \
            "messages", with loss on the assistant's turns; or "input_ids" and "labels". It can have "id", "source" and "metadata". A JSON \
            array has one object per element, and CSV, TSV, Parquet and Arrow one per row, with the columns as fields. Plain text has one \
            document per paragraph, with blank lines between them. Text formats can be compressed with gzip or zstd. A folder stands for \
            all files in it, and a folder of Hugging Face's save_to_disk for the dataset. Texts longer than the sequence length are split \
            into several sequences, and other records are cut. A text that the corpus already has is counted and not stored twice, so \
            importing a file again after an interruption continues where it stopped.

              tributary import --model M corpus.jsonl.gz
              tributary import --model M --text-field content shards/*.parquet
              tributary import --model M --prompt-field "Q: {question} A:" --completion-field " {answer}" faq.jsonl
              zcat *.gz | tributary import --model M --format jsonl -
            """)

    @Argument(
        help: "JSON, CSV, TSV, Parquet, Arrow or plain text, also as .gz or .zst; folders; - is standard input.",
        completion: .file())
    var files: [String]

    @OptionGroup var location: WorkspaceOptions

    @Option(
        help:
            "jsonl, json, csv, tsv, parquet, arrow or text. (default: what each file's name or its beginning suggests)")
    var format: Format?

    @OptionGroup(title: "What is trained on") var rows: RowOptions

    @Option(help: "The source of documents that do not name one.")
    var source: String?

    @Option(
        help: """
            The longest sequence, in tokens: no more than the model's context. The first import fixes it. (default: the context, or \
            \(Workspace.longestDefaultSequence) if that is less)
            """)
    var sequenceLength: Int?

    @Flag(
        help: "Leave out records that cannot be used, and count them. Otherwise the import stops at the first of them.")
    var skipBad = false

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case jsonl, json, csv, tsv, parquet, arrow, text

        var value: CorpusInput.Format {
            switch self {
            case .jsonl: .jsonLines
            case .json: .jsonArray
            case .csv: .commaSeparated
            case .tsv: .tabSeparated
            case .parquet: .parquet
            case .arrow: .arrow
            case .text: .plainText
            }
        }
    }

    func validate() throws {
        try Workspace.sequenceLengths.check(sequenceLength, of: "--sequence-length")
    }

    func run() throws {
        let interruption = Interruption()
        let control = TerminalControl(isCancelled: interruption.question)
        let found: InputFiles
        do {
            found = try InputFiles(at: files, format: format?.value)
        } catch let error as CorpusImportError {
            throw CorpusImportFailure(reason: error)
        }
        for name in found.unknown { printError("left out: \(name) is in no known format; name it to import it") }
        let workspace = try location.open()
        let checkpoint = try workspace.loadModel()
        let corpus = try workspace.openOrCreateCorpus(for: checkpoint, sequenceLength: sequenceLength)
        if workspace.model == .embedded { try workspace.importEmbedded(into: corpus, control) }
        let summary = try workspace.importDocuments(
            found.inputs, into: corpus, badRecords: skipBad ? .skip : .stop, source: source, rows: rows.fields,
            title: "importing", control)
        for rejection in summary.rejections { printError("left out: \(ErrorMessage(rejection))") }
        if summary.cutChats > 0, !rows.dropTurns {
            printError(
                "\(summary.cutChats) of the rows that were too long are chats: --drop-turns leaves out their first turns instead of their ends"
            )
        }
        print(Self.report(summary, total: try corpus.statistics()))
        if summary.documents == 0 {
            printError(
                "tributary: warning: nothing was added to the corpus"
                    + (summary.duplicates > 0 ? ": it has all of these documents already" : ""))
        }
    }

    private static func report(_ summary: CorpusImportSummary, total: CorpusStatistics) -> String {
        var added = ["\(summary.documents) documents in \(summary.sequences) sequences of \(summary.tokens) tokens"]
        if summary.duplicates > 0 { added.append("\(summary.duplicates) duplicates") }
        if summary.empty > 0 { added.append("\(summary.empty) empty ones left out") }
        if summary.shortened > 0 { added.append("\(summary.shortened) chats without their first turns") }
        if summary.cut > 0 { added.append("\(summary.cut) rows cut to the sequence length") }
        if summary.withoutLoss > 0 { added.append("\(summary.withoutLoss) rows without a token with loss left out") }
        if summary.cutBeforeLoss > 0 {
            added.append("\(summary.cutBeforeLoss) rows left out whose tokens with loss come after the sequence length")
        }
        if summary.rejected > 0 { added.append("\(summary.rejected) bad ones left out") }
        return """
            imported: \(added.joined(separator: ", "))
            the corpus has \(total.documents) documents in \(total.sequences) sequences of \(total.tokens) tokens
            """
    }
}
