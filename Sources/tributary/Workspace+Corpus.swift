import Attribution
import Corpus
import Files
import Foundation
import Transformer

extension Workspace {
    /// The longest sequence that is made unless one asks for it: models of a long context would otherwise spend most of it, and of
    /// the sweep, on few and long sequences.
    static let longestDefaultSequence = 512

    /// What the sequence length of a corpus is allowed to be, beside the model's context: there is nothing to predict in one token.
    static let sequenceLengths = 2...16_777_216

    /// Opens the corpus, and imports the embedded one on first use.
    ///
    /// - Parameter display: Makes the display of an import.
    /// - Throws: ``WorkspaceError/noCorpus(folder:command:)`` if nothing was imported for a model of one's own; ``CorpusError``
    ///   if the corpus was made for another tokenizer; ``CorpusImportFailure``.
    func openCorpus(
        for checkpoint: Checkpoint, display: (_ title: String) -> any ProgressDisplay,
        isCancelled: @escaping () -> Bool
    ) throws -> CorpusStore {
        guard try hasCorpus || model == .embedded else { throw noCorpus }
        let corpus = try openOrCreateCorpus(for: checkpoint, sequenceLength: nil)
        if model == .embedded { try importEmbedded(into: corpus, display: display, isCancelled: isCancelled) }
        guard try corpus.statistics().sequences > 0 else { throw noCorpus }
        return corpus
    }

    /// Opens the corpus, or makes an empty one.
    ///
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

    /// Imports documents with a display of how far it is.
    @discardableResult
    func importDocuments(
        _ inputs: [CorpusInput], into corpus: CorpusStore, badRecords: CorpusImport.BadRecords = .stop,
        source: String? = nil, display: any ProgressDisplay, isCancelled: @escaping () -> Bool
    ) throws -> CorpusImportSummary {
        let run = CorpusImport(into: corpus, badRecords: badRecords, defaultSource: source)
        do {
            let summary = try run.run(
                inputs,
                progress: { progress in
                    display.update(
                        progress.bytesRead / 1_000, of: progress.bytesTotal.map { max($0 / 1_000, 1) }, unit: "kB",
                        note: "\(progress.documents) documents, \(progress.duplicates) duplicates")
                }, isCancelled: isCancelled)
            display.finish("\(summary.documents) documents")
            return summary
        } catch {
            display.abandon()
            throw error
        }
    }

    /// Imports the corpus of the embedded model, unless that was done to its end before.
    func importEmbedded(
        into corpus: CorpusStore, display: (_ title: String) -> any ProgressDisplay,
        isCancelled: @escaping () -> Bool
    ) throws {
        let mark = folder.appending(path: "embedded-corpus-imported")
        guard !FileManager.default.fileExists(atPath: mark.path) else { return }
        try importDocuments(
            [.file(try EmbeddedDefault.corpusFile().path)], into: corpus,
            display: display("importing the embedded corpus"), isCancelled: isCancelled)
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

    /// The option that names this workspace, for commands that are shown to people.
    var folderOption: String { isDefaultFolder ? "" : " --workspace \(folder.path)" }
}
