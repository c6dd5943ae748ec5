import ArgumentParser
import Corpus
import Files
import Foundation
import LinearAlgebra
import Sequences
import Tokenizer
import Transformer
import Yams

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a small model on a corpus.",
        discussion: """
            Trains a byte-level BPE tokenizer on the corpus, then a decoder of the llama family, and writes a checkpoint folder that \
            Tributary and Hugging Face transformers can load. Documents longer than the context are split. The end-of-text token marks \
            the end of each document. --resume continues an interrupted run.
            """)

    @Option(
        help:
            "A file of JSON lines or plain text, optionally compressed with gzip; - is standard input. Can be given several times.",
        completion: .file())
    var corpus: [String]

    @Option(help: "Where to write the checkpoint folder.", completion: .directory)
    var output: String

    @Option(help: "A file of text that is not trained on, for the held-out loss.", completion: .file())
    var heldOut: [String] = []

    @Option(help: "A YAML file of training settings.", completion: .file())
    var config: String?

    @Option(help: "The seed for initial weights and the order of sequences.")
    var seed: UInt64?

    @Option(help: "The number format of the stored weights: float32, float16 or bfloat16.")
    var precision: Precision = .float32

    @OptionGroup var workers: WorkerOptions

    @Flag(help: "Continue an interrupted run where it stopped.")
    var resume = false

    enum Precision: String, CaseIterable, ExpressibleByArgument {
        case float32, float16, bfloat16

        var format: NumberFormat {
            switch self {
            case .float32: .float32
            case .float16: .float16
            case .bfloat16: .bfloat16
            }
        }
    }

    func validate() throws {
        if corpus.isEmpty { throw ValidationError("name at least one file with --corpus") }
    }

    func run() throws {
        let interruption = Interruption()
        let settings = try settings()
        let folder = URL(fileURLWithPath: output)
        try FileSystem.makeFolder(at: folder.path)
        let documents = try documents(corpus)
        let tokenizer = try tokenizer(for: documents.map(\.text), settings: settings, folder: folder)
        let sequences = sequences(of: documents, tokenizer, length: settings.sequenceLength)
        let heldOutSequences = self.sequences(
            of: try self.documents(heldOut), tokenizer, length: settings.sequenceLength)

        var trainer = try Trainer(settings, sequences: sequences, workers: workers.value)
        let state = folder.appendingPathComponent("training-state.safetensors").path
        AtomicFile.removeLeftovers(of: state)
        if resume, FileManager.default.fileExists(atPath: state) {
            try trainer.resume(from: state)
            printError("training: continuing after step \(trainer.step) of \(trainer.totalSteps)")
        }

        let progress = ProgressLine("training")
        try train(&trainer, savingTo: state, progress, interruption)
        let trainLoss = try trainer.meanLoss(of: sequences)
        let heldOutLoss = heldOutSequences.isEmpty ? nil : try trainer.meanLoss(of: heldOutSequences)
        let record = TrainingRecord(
            settings: settings, parameters: trainer.decoder.parameterCount, documents: documents.count,
            sequences: sequences.count, tokens: sequences.reduce(0) { $0 + $1.count }, steps: trainer.totalSteps,
            trainingLoss: trainLoss, heldOutLoss: heldOutLoss)
        try Checkpoint.write(
            trainer.decoder, to: output, format: precision.format, endOfText: tokenizer.eosToken
        ) { files in
            try tokenizer.write(to: files)
            try record.write(to: files.path)
        }
        // Not earlier: only now does the checkpoint survive a power failure.
        AtomicFile.remove(state)
        AtomicFolder.remove(tokenizerFolder(in: folder))
        progress.finish(
            String(format: "training loss %.3f nats per token", trainLoss)
                + (heldOutLoss.map { String(format: ", held out %.3f", $0) } ?? ""))
    }

    /// Makes all remaining steps, and saves the state every minute and when the run is interrupted.
    private func train(
        _ trainer: inout Trainer, savingTo state: String, _ progress: ProgressLine, _ interruption: Interruption
    ) throws {
        var lastSave = Date()
        var hasWarned = false
        var smoothed: Double?
        let start = Date()
        var tokens = 0
        while let step = try trainer.advance() {
            guard step.loss.isFinite else { throw TrainingError.diverged(step: step.step) }
            tokens += step.tokens
            smoothed = smoothed.map { 0.98 * $0 + 0.02 * step.loss } ?? step.loss
            let rate = Double(tokens) / Date().timeIntervalSince(start)
            progress.update(
                step.step, of: step.totalSteps, unit: "steps",
                note: String(
                    format: "epoch %d, loss %.3f, %.0f tokens/s", step.epoch + 1, smoothed ?? step.loss, rate))
            let isInterrupted = interruption.isRequested
            if isInterrupted || Date().timeIntervalSince(lastSave) > 60 {
                let problem = save(trainer, to: state, isLast: isInterrupted)
                lastSave = Date()
                if isInterrupted {
                    progress.abandon()
                    throw TrainingInterrupted(step: step.step, totalSteps: step.totalSteps, problem: problem)
                }
                if let problem, !hasWarned {
                    progress.warn(
                        "the state of the training is not saved: \(problem) The training continues, and tries to save again later."
                    )
                    hasWarned = true
                }
            }
        }
    }

    /// Saves the state that an interrupted run continues from, and leaves space for the checkpoint unless the run ends here.
    ///
    /// - Returns: Why the state was not saved; the run does not end for that.
    private func save(_ trainer: Trainer, to path: String, isLast: Bool) -> String? {
        let parameters = trainer.decoder.parameterCount * MemoryLayout<Float>.size
        // Weights and two moments of each.
        if !isLast, FileSystem.shortage(of: 3 * parameters, at: path, leaving: parameters) != nil {
            return "\(path): the disk has too little space for the state in addition to the model."
        }
        do {
            try trainer.save(to: path)
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func settings() throws -> TrainingConfiguration {
        var settings = TrainingConfiguration()
        if let config {
            let text = try String(contentsOf: URL(fileURLWithPath: config), encoding: .utf8)
            let known = Set(TrainingConfiguration.keys)
            for key in (try Yams.load(yaml: text) as? [String: Any] ?? [:]).keys where !known.contains(key) {
                throw TrainingError.unusableConfiguration(
                    "\(config): unknown key \"\(key)\"; known are \(known.sorted().joined(separator: ", "))")
            }
            settings = try YAMLDecoder().decode(TrainingConfiguration.self, from: text)
        }
        if let seed { settings.seed = seed }
        if let problem = settings.problem { throw TrainingError.unusableConfiguration(problem) }
        return settings
    }

    private func documents(_ paths: [String]) throws -> [CorpusRecord] {
        var records: [CorpusRecord] = []
        for input in try InputFiles(at: paths).inputs {
            try input.forEachRecord { record in
                switch record.row {
                case .text, .spans: records.append(record)
                case .chat, .tokens: throw UntrainableRow(location: record.location)
                }
            }
        }
        return records
    }

    /// The tokenizer's folder until the model is complete: beside an earlier model, the tokenizer would change that model.
    private func tokenizerFolder(in folder: URL) -> String {
        folder.appendingPathComponent("training-tokenizer").path
    }

    /// The tokenizer of the interrupted run if this run resumes it; otherwise a new one, which is kept to be resumed.
    private func tokenizer(for texts: [String], settings: TrainingConfiguration, folder: URL) throws -> Tokenizer {
        let kept = tokenizerFolder(in: folder)
        AtomicFolder.recover(kept)
        if resume, FileManager.default.fileExists(atPath: kept) {
            return try Tokenizer(contentsOf: URL(fileURLWithPath: kept))
        }
        let progress = ProgressLine("tokenizer")
        let tokenizer = try BytePairTrainer(vocabularyCount: settings.vocabulary).train(on: texts)
        var files = try AtomicFolder(replacing: kept)
        try tokenizer.write(to: URL(fileURLWithPath: files.contents))
        try files.commit()
        progress.finish("\(tokenizer.vocabularyCount) tokens")
        return tokenizer
    }

    /// Plain texts in chunks, with the end of each marked; rows with a loss mask as they are, and cut if they are too long.
    private func sequences(
        of documents: [CorpusRecord], _ tokenizer: Tokenizer, length: Int
    ) -> [TrainingSequence] {
        documents.flatMap { document -> [TrainingSequence] in
            if case .spans(let spans) = document.row {
                let row = tokenizer.encode(document.text, withLossOn: spans)
                let kept = row.tokens.prefix(length)
                return [TrainingSequence(tokens: Array(kept), loss: row.loss.part(0..<kept.count))]
            }
            var tokens = tokenizer.encode(document.text)
            if let end = tokenizer.eosToken, tokens.last != end { tokens.append(end) }
            return stride(from: 0, to: tokens.count, by: length).map {
                TrainingSequence(tokens: Array(tokens[$0..<min($0 + length, tokens.count)]))
            }
        }
    }
}

/// A record that has no text before there is a model.
struct UntrainableRow: Error, CustomStringConvertible {
    let location: CorpusInputLocation

    var description: String {
        "\(location): this is a chat, or tokens, but the model to be trained has no chat template and other tokens. Give a text, perhaps "
            + "with \"loss\", or a prompt with a completion."
    }
}

struct TrainingInterrupted: Error, CustomStringConvertible {
    let step: Int
    let totalSteps: Int
    /// Why the state could not be saved.
    let problem: String?

    var description: String {
        if let problem {
            """
            interrupted at step \(step) of \(totalSteps), and the state could not be saved: \(problem) With --resume the same command \
            continues from an earlier state, if there is one
            """
        } else {
            "interrupted at step \(step) of \(totalSteps); run the same command with --resume to continue from there"
        }
    }
}
