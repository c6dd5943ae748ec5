import Curvature
import Transformer

/// A question of an evaluation: how likely is this completion of this prompt?
public struct EvaluationQuery: Sendable, Codable, Equatable {
    public var prompt: String
    public var completion: String

    public init(prompt: String, completion: String) {
        self.prompt = prompt
        self.completion = completion
    }

    /// The query's name in a table: its end, if it is long.
    var label: String {
        let text = prompt + completion
        return text.count <= 60 ? text : "…" + text.suffix(59)
    }
}

/// The measurement of a query, `f = Σ log p(token | prompt, earlier tokens)` over its completion's tokens, in nats.
struct Measurement: Sendable {
    let query: EvaluationQuery
    let tokens: [Int32]
    let completionStart: Int

    /// - Throws: ``EvaluationError/unusableQuery(prompt:reason:)``.
    init(_ query: EvaluationQuery, of checkpoint: Checkpoint) throws {
        let joined = checkpoint.tokenizer.encodeJoined(prompt: query.prompt, completion: query.completion)
        guard joined.completionStart > 0, joined.completionStart < joined.tokens.count else {
            throw EvaluationError.unusableQuery(
                prompt: query.prompt, reason: "the prompt and the completion must have at least one token each")
        }
        let context = checkpoint.decoder.description.contextLength
        guard joined.tokens.count <= context else {
            throw EvaluationError.unusableQuery(
                prompt: query.prompt, reason: "it has \(joined.tokens.count) tokens; the model's context is \(context)")
        }
        self.query = query
        tokens = joined.tokens
        completionStart = joined.completionStart
    }

    static func all(_ queries: [EvaluationQuery], of checkpoint: Checkpoint) throws -> [Measurement] {
        guard !queries.isEmpty else { throw EvaluationError.noQueries }
        return try queries.map { try Measurement($0, of: checkpoint) }
    }

    var batch: TokenBatch {
        var batch = TokenBatch()
        batch.append(tokens, labels: .nextTokensFrom(completionStart))
        return batch
    }

    /// `f` under a model with the same tokens, which need not be the model that the query was read for.
    func logProbability(under decoder: DecoderModel, in workspace: inout DecoderWorkspace) -> Double {
        -decoder.losses(of: batch, in: &workspace).sum(over: 0..<tokens.count)
    }

    /// The gradient of `-f` in the tracked parameters: the gradient of a loss, like those of training sequences, so that their
    /// inner product has the sign of a score.
    func gradient(of decoder: DecoderModel, tracked: TrackedLayers) -> ParameterVector {
        var workspace = DecoderWorkspace()
        var tap = GradientSumTap(tracked)
        decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
        return tap.sum
    }
}
