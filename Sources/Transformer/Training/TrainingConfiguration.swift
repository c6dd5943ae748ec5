import Files
import Foundation
import Limits

/// How a model is trained.
public struct TrainingConfiguration: Sendable, Equatable, Codable {
    /// The size of the byte-level BPE tokenizer that is trained on the corpus first.
    public var vocabulary = 4_096
    /// The length of the longest sequence, and the model's context.
    public var sequenceLength = 128
    public var width = 192
    public var layers = 6
    public var heads = 6
    public var keyValueHeads = 2
    public var feedForwardWidth = 512
    /// The number of sequences per step.
    public var batchSequences = 48
    public var epochs = 8
    public var learningRate = 3e-3
    /// The learning rate at the end, as a share of the highest.
    public var finalLearningRateShare = 0.02
    /// The share of all steps in which the learning rate rises from zero.
    public var warmupShare = 0.03
    public var weightDecay = 0.1
    public var beta1 = 0.9
    public var beta2 = 0.95
    public var epsilon = 1e-8
    /// The largest norm of the gradient, to which a longer gradient is scaled down; 0 for no limit.
    public var gradientClip = 1.0
    /// Determines the initial weights and the order of sequences.
    public var seed: UInt64 = 0

    public init() {}

    /// The names of all settings, as a file spells them.
    public static var keys: [String] { CodingKeys.allCases.map(\.rawValue) }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case vocabulary
        case sequenceLength = "sequence_length"
        case width, layers, heads
        case keyValueHeads = "key_value_heads"
        case feedForwardWidth = "feed_forward_width"
        case batchSequences = "batch_sequences"
        case epochs
        case learningRate = "learning_rate"
        case finalLearningRateShare = "final_learning_rate_share"
        case warmupShare = "warmup_share"
        case weightDecay = "weight_decay"
        case beta1, beta2, epsilon
        case gradientClip = "gradient_clip"
        case seed
    }

    /// The allowed values of each setting.
    public enum Limits {
        public static let vocabulary = 257...1_048_576
        public static let sequenceLength = 2...1_048_576
        public static let width = 1...65_536
        public static let layers = 1...1_024
        public static let heads = 1...4_096
        public static let feedForwardWidth = 1...262_144
        public static let batchSequences = 1...1_048_576
        public static let epochs = 1...1_000_000
        public static let learningRate = NumberLimit.above(0, to: 1_000)
        public static let share = NumberLimit.from(0, to: 1)
        public static let weightDecay = NumberLimit.from(0, to: 1_000)
        public static let beta = NumberLimit.from(0, below: 1)
        public static let epsilon = NumberLimit.above(0, to: 1)
        public static let gradientClip = NumberLimit.from(0, to: 1e30)
        public static let seed = UInt64.min...UInt64.max
        /// The parameters of the whole model. Training takes at least 16 bytes per parameter.
        public static let parameters = 1...4_000_000_000
    }

    public init(from decoder: any Swift.Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func read<Value: Decodable>(_ key: CodingKeys, into value: inout Value) throws {
            if let given = try container.decodeIfPresent(Value.self, forKey: key) { value = given }
        }
        try read(.vocabulary, into: &vocabulary)
        try read(.sequenceLength, into: &sequenceLength)
        try read(.width, into: &width)
        try read(.layers, into: &layers)
        try read(.heads, into: &heads)
        try read(.keyValueHeads, into: &keyValueHeads)
        try read(.feedForwardWidth, into: &feedForwardWidth)
        try read(.batchSequences, into: &batchSequences)
        try read(.epochs, into: &epochs)
        try read(.learningRate, into: &learningRate)
        try read(.finalLearningRateShare, into: &finalLearningRateShare)
        try read(.warmupShare, into: &warmupShare)
        try read(.weightDecay, into: &weightDecay)
        try read(.beta1, into: &beta1)
        try read(.beta2, into: &beta2)
        try read(.epsilon, into: &epsilon)
        try read(.gradientClip, into: &gradientClip)
        try read(.seed, into: &seed)
    }

    /// The first problem with single settings or with their combination, if there is one.
    public var problem: String? {
        let refusals: [(CodingKeys, String?)] = [
            (.vocabulary, Limits.vocabulary.refusal(of: vocabulary)),
            (.sequenceLength, Limits.sequenceLength.refusal(of: sequenceLength)),
            (.width, Limits.width.refusal(of: width)), (.layers, Limits.layers.refusal(of: layers)),
            (.heads, Limits.heads.refusal(of: heads)), (.keyValueHeads, Limits.heads.refusal(of: keyValueHeads)),
            (.feedForwardWidth, Limits.feedForwardWidth.refusal(of: feedForwardWidth)),
            (.batchSequences, Limits.batchSequences.refusal(of: batchSequences)),
            (.epochs, Limits.epochs.refusal(of: epochs)),
            (.learningRate, Limits.learningRate.refusal(of: learningRate)),
            (.finalLearningRateShare, Limits.share.refusal(of: finalLearningRateShare)),
            (.warmupShare, Limits.share.refusal(of: warmupShare)),
            (.weightDecay, Limits.weightDecay.refusal(of: weightDecay)), (.beta1, Limits.beta.refusal(of: beta1)),
            (.beta2, Limits.beta.refusal(of: beta2)), (.epsilon, Limits.epsilon.refusal(of: epsilon)),
            (.gradientClip, Limits.gradientClip.refusal(of: gradientClip)),
        ]
        for case (let key, let refusal?) in refusals { return "\(key.rawValue): \(refusal)" }
        if width % heads != 0 || (width / heads) % 2 != 0 {
            return "heads: expected a divisor of width (\(width)) that makes the width of a head even, found \(heads)"
        }
        if heads % keyValueHeads != 0 {
            return "key_value_heads: expected a divisor of heads (\(heads)), found \(keyValueHeads)"
        }
        return Limits.parameters.refusal(of: matrixParameters).map { "the model's parameters: \($0)" }
    }

    /// The parameters of all matrices: the embedding, attention and the MLPs.
    private var matrixParameters: Int {
        let attention = 2 * width * (width + width / heads * keyValueHeads)
        return vocabulary * width + layers * (attention + 3 * width * feedForwardWidth)
    }

    /// A Llama-like decoder of these dimensions, whose head is tied to the embedding.
    var description: DecoderDescription {
        DecoderDescription(
            architecture: "llama", vocabulary: vocabulary, contextLength: sequenceLength, width: width, layers: layers,
            heads: heads, keyValueHeads: keyValueHeads, headWidth: width / heads, feedForwardWidth: feedForwardWidth,
            normalization: .rootMeanSquare, normalizationEpsilon: 1e-5,
            position: .rotary(RotaryEmbedding(base: 10_000, width: width / heads)),
            feedForward: .gatedSilu, attentionInput: .separate, attentionInputBias: false, attentionOutputBias: false,
            feedForwardBias: false, isHeadTied: true)
    }
}

/// The record of a training run, which is kept beside the checkpoint as `training.json`.
public struct TrainingRecord: Sendable, Codable, Equatable {
    public static let fileName = "training.json"

    public var settings: TrainingConfiguration
    public var parameters: Int
    public var documents: Int
    public var sequences: Int
    public var tokens: Int
    public var steps: Int
    /// The final model's loss in nats per token.
    public var trainingLoss: Double
    /// The same on held-out text.
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
