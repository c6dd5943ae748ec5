import Files
import Foundation

/// What is known of a training run, kept beside the checkpoint as `training.json`.
public struct TrainingRecord: Sendable, Codable, Equatable {
    public static let fileName = "training.json"

    public var settings: TrainingConfiguration
    public var parameters: Int
    public var documents: Int
    public var sequences: Int
    public var tokens: Int
    public var steps: Int
    /// Nats a token, of the model at the end.
    public var trainingLoss: Double
    /// The same on text that was not trained on.
    public var heldOutLoss: Double?

    public init(
        settings: TrainingConfiguration, parameters: Int, documents: Int, sequences: Int, tokens: Int, steps: Int,
        trainingLoss: Double, heldOutLoss: Double?
    ) {
        self.settings = settings
        self.parameters = parameters
        self.documents = documents
        self.sequences = sequences
        self.tokens = tokens
        self.steps = steps
        self.trainingLoss = trainingLoss
        self.heldOutLoss = heldOutLoss
    }

    enum CodingKeys: String, CodingKey {
        case settings, parameters, documents, sequences, tokens, steps
        case trainingLoss = "training_loss"
        case heldOutLoss = "held_out_loss"
    }

    /// Reads the record of a checkpoint folder.
    ///
    /// - Throws: ``TrainingError/noRecord(path:)`` if `tributary train` did not make the checkpoint.
    public init(checkpoint folder: String) throws {
        let path = Self.path(in: folder)
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw TrainingError.noRecord(path: path)
        }
        do {
            self = try JSONDecoder().decode(TrainingRecord.self, from: data)
        } catch {
            throw TrainingError.unusableConfiguration("\(path): not the record of a training run")
        }
        if let problem = settings.problem { throw TrainingError.unusableConfiguration("\(path): \(problem)") }
    }

    public func write(to folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try AtomicFile.write(try encoder.encode(self), to: Self.path(in: folder))
    }

    private static func path(in folder: String) -> String {
        URL(fileURLWithPath: folder).appendingPathComponent(fileName).path
    }
}
