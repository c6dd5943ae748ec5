/// How a model is trained.
public struct TrainingConfiguration: Sendable, Equatable, Codable {
    /// Tokens of the byte-level BPE tokenizer that is trained on the corpus first.
    public var vocabulary = 4_096
    /// Longest sequence, and the model's context.
    public var sequenceLength = 128
    public var width = 192
    public var layers = 6
    public var heads = 6
    public var keyValueHeads = 2
    public var feedForwardWidth = 512
    /// Sequences a step.
    public var batchSequences = 48
    public var epochs = 8
    public var learningRate = 3e-3
    /// The learning rate at the end, as a share of the highest.
    public var finalLearningRateShare = 0.02
    /// Share of all steps in which the learning rate rises from zero.
    public var warmupShare = 0.03
    public var weightDecay = 0.1
    public var beta1 = 0.9
    public var beta2 = 0.95
    public var epsilon = 1e-8
    /// The gradient's norm is cut to this; 0 leaves it.
    public var gradientClip = 1.0
    /// Decides initial weights and the order of sequences.
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

    /// What is wrong with the numbers, if anything.
    public var problem: String? {
        let counts = [
            ("vocabulary", vocabulary, 257), ("sequence_length", sequenceLength, 2), ("width", width, 1),
            ("layers", layers, 1), ("heads", heads, 1), ("key_value_heads", keyValueHeads, 1),
            ("feed_forward_width", feedForwardWidth, 1), ("batch_sequences", batchSequences, 1), ("epochs", epochs, 1),
        ]
        for (name, value, least) in counts where value < least || value > Self.largestCount {
            return "\(name): expected a number from \(least) to \(Self.largestCount), found \(value)"
        }
        if width % heads != 0 || (width / heads) % 2 != 0 {
            return "heads: expected a divisor of width (\(width)) that leaves an even head, found \(heads)"
        }
        if heads % keyValueHeads != 0 {
            return "key_value_heads: expected a divisor of heads (\(heads)), found \(keyValueHeads)"
        }
        for (name, value) in [("learning_rate", learningRate), ("epsilon", epsilon)]
        where !(value > 0 && value.isFinite) {
            return "\(name): expected a positive number, found \(value)"
        }
        for (name, value) in [("weight_decay", weightDecay), ("gradient_clip", gradientClip)]
        where !(value >= 0 && value.isFinite) {
            return "\(name): expected a number that is not negative, found \(value)"
        }
        let shares = [("warmup_share", warmupShare), ("final_learning_rate_share", finalLearningRateShare)]
        for (name, value) in shares where !(0...1).contains(value) {
            return "\(name): expected a number from 0 to 1, found \(value)"
        }
        for (name, value) in [("beta1", beta1), ("beta2", beta2)] where !(0..<1).contains(value) {
            return "\(name): expected a number from 0 to less than 1, found \(value)"
        }
        return nil
    }

    /// More than any model that is trained here has of anything.
    private static let largestCount = 16_777_216

    /// A llama-like decoder of these dimensions, its head tied to the embedding.
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
