import Foundation
import LinearAlgebra

/// Samples continuations from a model.
public struct Generation: Sendable {
    /// 0 chooses the likeliest token at each step.
    public var temperature: Double
    /// The same seed gives the same continuation.
    public var seed: UInt64
    /// The largest number of tokens to add.
    public var maximumTokens: Int
    /// The token that ends a text; it is not part of the continuation.
    public var endOfText: Int32?

    public init(temperature: Double = 0, seed: UInt64 = 0, maximumTokens: Int = 32, endOfText: Int32? = nil) {
        self.temperature = temperature
        self.seed = seed
        self.maximumTokens = maximumTokens
        self.endOfText = endOfText
    }

    public enum FinishReason: String, Sendable {
        case length
        case endOfText = "end_of_text"
        case contextFull = "context_full"
        case timeLimit = "time_limit"
        case cancelled
    }

    public struct Continuation: Sendable {
        public var tokens: [Int32] = []
        /// The log-probability of each token given everything before it, in nats and at temperature 1.
        public var logProbabilities: [Double] = []
        public var finishReason = FinishReason.length
    }

    /// Continues a prompt.
    ///
    /// - Parameters:
    ///   - prompt: At least one token, and no more than the context.
    ///   - stop: Called before each token, and before each part of a long prompt. If it returns a reason, the continuation ends there.
    /// - Complexity: A forward pass over the prompt, and one over each added token except the last. ``DecoderModel/pastTokenBytes`` are
    ///   kept for each token of both.
    public func `continue`(
        _ prompt: [Int32], with decoder: DecoderModel, stop: () -> FinishReason? = { nil }
    ) -> Continuation {
        let context = decoder.description.contextLength
        let added = min(max(maximumTokens, 0), max(context - prompt.count, 0))
        var reader = TextReader(decoder, capacity: prompt.count + added)
        var generator = SplitMix64(seed: seed)
        var continuation = Continuation()
        var unread = prompt[...]
        while continuation.tokens.count < maximumTokens {
            guard reader.count + unread.count < context else {
                continuation.finishReason = .contextFull
                break
            }
            if let reason = stop() {
                continuation.finishReason = reason
                break
            }
            let part = unread.prefix(decoder.microBatchTokens)
            reader.read(part)
            unread = unread.dropFirst(part.count)
            // Only the last part of a long prompt decides which token follows.
            guard unread.isEmpty else { continue }
            let logits = reader.nextLogits().elements.map(Double.init)
            let largest = logits.max() ?? 0
            let total = logits.reduce(0) { $0 + exp($1 - largest) }
            let token = choose(from: logits, largest: largest, &generator)
            guard token != endOfText.map(Int.init) else {
                continuation.finishReason = .endOfText
                break
            }
            unread = [Int32(token)]
            continuation.tokens.append(Int32(token))
            continuation.logProbabilities.append(logits[token] - largest - log(total))
        }
        return continuation
    }

    private func choose(from logits: [Double], largest: Double, _ generator: inout SplitMix64) -> Int {
        guard temperature > 0 else { return logits.firstIndex(of: largest) ?? 0 }
        let weights = logits.map { exp(($0 - largest) / temperature) }
        var remaining = Double(generator.nextUniform()) * weights.reduce(0, +)
        for (token, weight) in weights.enumerated() {
            remaining -= weight
            if remaining < 0 { return token }
        }
        return weights.count - 1
    }
}

/// Reads a text from its beginning, some tokens at a time, and computes the logits of the next token.
///
/// Each token is read once: its keys and values are kept for later tokens. The results equal those of a pass over the whole text,
/// except for rounding.
struct TextReader: Sendable {
    private let decoder: DecoderModel
    private var workspace = DecoderWorkspace()
    /// Tokens read so far.
    private(set) var count = 0

    /// - Parameter capacity: The largest number of tokens that the text can have, within the model's context.
    ///   ``DecoderModel/pastTokenBytes`` are allocated for each.
    init(_ decoder: DecoderModel, capacity: Int) {
        self.decoder = decoder
        workspace.prepare(blocks: decoder.blocks.count)
        for (index, block) in decoder.blocks.enumerated() {
            workspace.blocks[index].attention.past = PastTokens(block.attention.layout, capacity: capacity)
        }
    }

    /// Reads more tokens, at least one.
    ///
    /// - Complexity: A forward pass over them, without the head, and attention to all tokens read before.
    mutating func read(_ tokens: some Sequence<Int32>) {
        var batch = TokenBatch()
        batch.append(Array(tokens), from: count)
        decoder.forward(batch, in: &workspace)
        count += batch.tokens.count
    }

    /// The logits of the token after the last one read: 1 × vocabulary.
    func nextLogits() -> Matrix {
        let hidden = workspace.finalNorm.outputs
        var logits = Matrix()
        decoder.head.formLogits(of: hidden[rows: (hidden.rows - 1)..<hidden.rows], into: &logits)
        return logits
    }
}
