import Foundation
import LinearAlgebra

/// Samples continuations from a model.
public struct Generation: Sendable {
    /// 0 takes the likeliest token at each step.
    public var temperature: Double
    /// The same seed gives the same continuation.
    public var seed: UInt64
    /// At most so many tokens are added.
    public var maximumTokens: Int
    /// The token that ends a text, and is not part of the continuation.
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
    }

    public struct Continuation: Sendable {
        public var tokens: [Int32] = []
        /// Of each token given everything before it, in nats and at temperature 1.
        public var logProbabilities: [Double] = []
        public var finishReason = FinishReason.length
    }

    /// Continues a prompt.
    ///
    /// Each step reads the whole text so far: a continuation costs its length times a forward pass.
    ///
    /// - Parameter prompt: At least one token, and no more than the context.
    public func `continue`(_ prompt: [Int32], with decoder: DecoderModel) -> Continuation {
        var workspace = DecoderWorkspace()
        var generator = SplitMix64(seed: seed)
        var text = prompt
        var continuation = Continuation()
        while continuation.tokens.count < maximumTokens {
            guard text.count < decoder.description.contextLength else {
                continuation.finishReason = .contextFull
                break
            }
            var batch = TokenBatch()
            batch.append(text)
            let logits = decoder.logits(of: batch, at: [text.count - 1], in: &workspace).elements.map(Double.init)
            let largest = logits.max() ?? 0
            let total = logits.reduce(0) { $0 + exp($1 - largest) }
            let token = choose(from: logits, largest: largest, &generator)
            guard token != endOfText.map(Int.init) else {
                continuation.finishReason = .endOfText
                break
            }
            text.append(Int32(token))
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
