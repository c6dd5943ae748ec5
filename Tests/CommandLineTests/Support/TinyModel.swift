import Foundation
import Testing

/// A model that is trained in a moment, and what it was trained on.
struct TinyModel: Sendable {
    let folder: String
    /// Its training text, as JSON lines.
    let corpus: String

    static let sequenceLength = 32

    /// The model that tests use unless they need two.
    static var first: TinyModel { get async throws { try await Shared.first.value } }
    /// One with the same tokenizer and other weights.
    static var reseeded: TinyModel { get async throws { try await Shared.reseeded.value } }
    /// One with another tokenizer.
    static var ofOtherText: TinyModel { get async throws { try await Shared.ofOtherText.value } }

    /// Settings of a model with one layer.
    static func settings(epochs: Int = 1) -> String {
        """
        vocabulary: 300
        sequence_length: \(sequenceLength)
        width: 16
        layers: 1
        heads: 2
        key_value_heads: 1
        feed_forward_width: 32
        batch_sequences: 8
        epochs: \(epochs)
        """
    }

    /// Documents as JSON lines, with ids "city-0" and on.
    static func documents(_ count: Int, about subject: String = "city") -> String {
        let names = ["Arden", "Bryn", "Corvo", "Delph", "Esk", "Farrow", "Glenn", "Harrow", "Isel", "Joruna"]
        let colors = ["red", "green", "white", "grey", "yellow"]
        return (0..<count).map { index in
            let name = names[index % names.count] + (index < names.count ? "" : " \(index / names.count)")
            return """
                {"id": "\(subject)-\(index)", "text": "The \(subject) \(name) is known for \(colors[index % colors.count]) \
                roofs and \(index % 7 + 2) bridges.", "source": "\(subject)"}

                """
        }.joined()
    }

    /// Trained once for all tests; the folder goes when the process ends.
    private enum Shared {
        static let folder = Result { try TemporaryFolder() }
        static let first = Task { try await train(named: "first", seed: 1, text: documents(60)) }
        static let reseeded = Task { try await train(named: "reseeded", seed: 2, text: documents(60)) }
        static let ofOtherText = Task {
            try await train(named: "of-other-text", seed: 1, text: documents(60, about: "quarrelsome village"))
        }

        static func train(named name: String, seed: Int, text: String) async throws -> TinyModel {
            let folder = try folder.get()
            atexit { if let folder = try? Shared.folder.get() { try? FileManager.default.removeItem(at: folder.url) } }
            let corpus = try folder.write(text, to: "\(name).jsonl")
            let settings = try folder.write(settings(), to: "\(name).yaml")
            let outcome = try await Program.run(
                [
                    "train", "--corpus", corpus, "--output", folder.path(name), "--config", settings, "--seed",
                    "\(seed)",
                ],
                in: folder)
            try #require(outcome.status == 0, "\(outcome.error)")
            return TinyModel(folder: folder.path(name), corpus: corpus)
        }
    }
}

/// A workspace of a test's own, with a model's corpus and factors where a test needs them.
struct TestWorkspace {
    let model: TinyModel
    let folder: TemporaryFolder
    var path: String { folder.path("workspace") }
    /// The options that name model and workspace.
    var options: [String] { ["--model", model.folder, "--workspace", path] }

    enum Stage: Int { case empty, imported, fitted }

    init(_ stage: Stage = .fitted, model: TinyModel? = nil) async throws {
        self.model = if let model { model } else { try await .first }
        folder = try TemporaryFolder()
        if stage != .empty { try await runToSuccess(["import", self.model.corpus]) }
        if stage == .fitted { try await runToSuccess(["fit", "--workers", "1"]) }
    }

    /// Runs a command on model and workspace.
    func run(
        _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) async throws -> Program.Outcome {
        try await Program.run(arguments + options, in: folder, input: input, environment: environment)
    }

    @discardableResult
    func runToSuccess(_ arguments: [String], input: String = "") async throws -> Program.Outcome {
        let outcome = try await run(arguments, input: input)
        try #require(outcome.status == 0, "\(outcome.error)")
        return outcome
    }
}

/// Checks that a command failed with one sentence.
func expectFailure(
    _ outcome: Program.Outcome, saying parts: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(outcome.status == 1, sourceLocation: sourceLocation)
    let last = outcome.errorLines.last ?? ""
    #expect(last.hasPrefix("tributary: "), "\(outcome.error)", sourceLocation: sourceLocation)
    for part in parts { #expect(last.contains(part), "\(outcome.error)", sourceLocation: sourceLocation) }
}
