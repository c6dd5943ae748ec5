import Limits

/// Samples completions from the model.
public protocol CompletionGenerating: Sendable {
    /// Samples a completion. Blocks the calling thread.
    ///
    /// - Parameters:
    ///   - deadline: When to stop and return the tokens sampled so far; `nil` for no limit.
    ///   - isCancelled: Asked before each token, and now and then while the prompt is read.
    /// - Throws: ``QueryError``; ``QueryError/cancelled`` if `isCancelled` returned true.
    func complete(
        _ request: CompletionRequest, until deadline: ContinuousClock.Instant?, isCancelled: @Sendable () -> Bool
    ) throws -> CompletionResult
}

extension CompletionGenerating {
    /// Samples a completion that nothing cuts short.
    public func complete(_ request: CompletionRequest) throws -> CompletionResult {
        try complete(request, until: nil) { false }
    }
}

/// A request for a continuation of a prompt.
public struct CompletionRequest: Sendable, Equatable, Codable {
    public var prompt: String
    public var maximumTokens = 32
    /// At 0, the likeliest token is taken at each step.
    public var temperature = 0.0
    /// The same seed gives the same completion.
    public var seed: UInt64 = 0

    /// The allowed values of the members.
    public enum Limits {
        public static let prompt = InfluenceQuery.Limits.text
        public static let maximumTokens = 1...4_096
        /// Temperatures far below the upper bound already make all tokens equally likely.
        public static let temperature = NumberLimit.from(0, to: 100)
        public static let seed = InfluenceQuery.Limits.seed
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case prompt
        case maximumTokens = "max_tokens"
        case temperature, seed
    }
}

extension CompletionRequest {
    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prompt = try container.decode(.prompt, within: Limits.prompt)
        maximumTokens = try container.decodeIfPresent(.maximumTokens, within: Limits.maximumTokens) ?? 32
        temperature = try container.decodeIfPresent(.temperature, within: Limits.temperature) ?? 0
        seed = try container.decodeIfPresent(.seed, within: Limits.seed) ?? 0
    }
}

public struct CompletionResult: Sendable, Equatable, Codable {
    public var prompt: String
    public var completion: String
    public var tokens: [InfluenceResult.QueryToken]
    /// Why the completion ended: "length", "end_of_text", "context_full" or "time_limit".
    public var finishReason: String

    enum CodingKeys: String, CodingKey {
        case prompt, completion, tokens
        case finishReason = "finish_reason"
    }
}
