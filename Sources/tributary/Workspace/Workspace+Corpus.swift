import Corpus
import Files
import Foundation
import Transformer

extension Workspace {
    /// The longest sequence by default. Models with a long context would otherwise spend most of a sweep on few and long sequences.
    static let longestDefaultSequence = 512

    /// The possible sequence lengths of a corpus, if the model's context allows them: one token has nothing to predict.
    static let sequenceLengths = 2...16_777_216

    /// Opens the corpus, and imports the embedded one on first use.
    ///
    /// - Throws: ``WorkspaceError/noCorpus(folder:command:)`` if nothing was imported for a model other than the embedded one;
    ///   ``CorpusError`` if the corpus was made for another tokenizer; ``CorpusImportFailure``.
    func openCorpus(for checkpoint: Checkpoint, _ control: TerminalControl) throws -> CorpusStore {
        guard try hasCorpus || model == .embedded else { throw noCorpus }
        let corpus = try openOrCreateCorpus(for: checkpoint, sequenceLength: nil)
        if model == .embedded { try importEmbedded(into: corpus, control) }
        guard try corpus.statistics().sequences > 0 else { throw noCorpus }
        return corpus
    }

    /// - Parameter sequenceLength: `nil` for the corpus's own; a new one gets the model's context, or
    ///   ``longestDefaultSequence`` if that is less.
    func openOrCreateCorpus(for checkpoint: Checkpoint, sequenceLength: Int?) throws -> CorpusStore {
        let context = checkpoint.decoder.description.contextLength
        if let sequenceLength, sequenceLength > context {
            throw WorkspaceError.sequenceLengthOverContext(length: sequenceLength, context: context)
        }
        let recorded = try hasCorpus ? CorpusStore.inspect(folder: folder).tokenization.sequenceLength : nil
        return try CorpusStore(
            folder: folder,
            tokenization: CorpusTokenization(
                checkpoint.tokenizer,
                sequenceLength: sequenceLength ?? recorded ?? min(context, Self.longestDefaultSequence)))
    }

    @discardableResult
    func importDocuments(
        _ inputs: [CorpusInput], into corpus: CorpusStore, badRecords: CorpusImport.BadRecords = .stop,
        source: String? = nil, rows: RowFields = RowFields(), title: String, _ control: TerminalControl
    ) throws -> CorpusImportSummary {
        let run = CorpusImport(into: corpus, badRecords: badRecords, defaultSource: source, rows: rows)
        let display = control.display(title)
        do {
            let summary = try run.run(
                inputs,
                progress: { progress in
                    display.update(
                        progress.bytesRead / 1_000, of: progress.bytesTotal.map { max($0 / 1_000, 1) }, unit: "kB",
                        note: "\(progress.documents) documents, \(progress.duplicates) duplicates")
                }, isCancelled: control.isCancelled)
            display.finish("\(summary.documents) documents")
            return summary
        } catch {
            display.abandon()
            throw error
        }
    }

    /// Imports the corpus of the embedded model, unless an earlier import of it was completed.
    func importEmbedded(into corpus: CorpusStore, _ control: TerminalControl) throws {
        let mark = folder.appending(path: "embedded-corpus-imported")
        guard !FileManager.default.fileExists(atPath: mark.path) else { return }
        try importDocuments(
            [.file(try EmbeddedDefault.corpusFile().path)], into: corpus, title: "importing the embedded corpus",
            control)
        try AtomicFile.write(Data(), to: mark.path)
    }

    private var hasCorpus: Bool {
        get throws {
            guard FileManager.default.fileExists(atPath: folder.appending(path: CorpusStore.fileName).path) else {
                return false
            }
            do {
                _ = try CorpusStore.inspect(folder: folder)
                return true
            } catch CorpusError.missing {
                return false
            }
        }
    }

    private var noCorpus: WorkspaceError {
        .noCorpus(folder: folder.path, command: "tributary import\(model.option)\(folderOption) FILE")
    }

    /// The option that names this workspace, for commands in messages.
    var folderOption: String { isDefaultFolder ? "" : " --workspace \(folder.path)" }
}
