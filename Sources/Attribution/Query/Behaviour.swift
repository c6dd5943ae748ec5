import JSON
import Limits

/// One of the prompts in which a behaviour shows, with the completion whose log-probability is measured.
public struct BehaviourPart: Sendable, Equatable, Codable {
    public var prompt: String
    public var completion: String
    /// A chat whose last message, an assistant's, is the completion, in place of a prompt and a completion; nil otherwise.
    public var messages: [JSONTree]?
    /// How many of these messages were left out, once the chat is written.
    var droppedMessages = 0
    /// Another completion of the same prompt, whose log-probability is subtracted. Of a chat, another content of its last message.
    public var contrast: String?
    /// How much the part counts, relative to the others.
    public var weight: Double

    public init(prompt: String, completion: String, contrast: String? = nil, weight: Double = 1) {
        self.prompt = prompt
        self.completion = completion
        self.contrast = contrast
        self.weight = weight
    }

    public init(messages: [JSONTree], contrast: String? = nil, weight: Double = 1) {
        self.init(prompt: "", completion: "", contrast: contrast, weight: weight)
        self.messages = messages
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case prompt, completion, messages, contrast, weight }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if let messages {
            try container.encode(messages, forKey: .messages)
        } else {
            try container.encode(prompt, forKey: .prompt)
            try container.encode(completion, forKey: .completion)
        }
        try container.encodeIfPresent(contrast, forKey: .contrast)
        try container.encode(weight, forKey: .weight)
    }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        messages = try container.decodeIfPresent(.messages, within: InfluenceQuery.Limits.messages)
        if let messages {
            try InfluenceQuery.check(messages, at: container.codingPath + [CodingKeys.messages])
            for key in [CodingKeys.prompt, .completion] where container.contains(key) {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "expected either this or messages, found both")
            }
            (prompt, completion) = ("", "")
        } else {
            prompt = try container.decode(.prompt, within: InfluenceQuery.Limits.text)
            completion = try container.decode(.completion, within: InfluenceQuery.Limits.text)
        }
        contrast = try container.decodeIfPresent(.contrast, within: InfluenceQuery.Limits.text)
        weight = try container.decodeIfPresent(.weight, within: InfluenceQuery.Limits.weight) ?? 1
        guard contrast?.hasSameBytes(as: completion) != true else {
            throw DecodingError.dataCorruptedError(
                forKey: .contrast, in: container,
                debugDescription: "expected a completion that differs from the part's own")
        }
    }

    /// Checks the part's texts and its weight as its decoder does.
    ///
    /// - Returns: The first member at fault, and why it is refused; nil if all are allowed.
    func refusal() -> (field: String, reason: String)? {
        let refusals = [
            ("prompt", messages == nil ? InfluenceQuery.Limits.text.refusal(of: prompt) : nil),
            ("completion", messages == nil ? InfluenceQuery.Limits.text.refusal(of: completion) : nil),
            ("messages", messages.flatMap(InfluenceQuery.Limits.messages.refusal)),
            ("contrast", contrast.flatMap(InfluenceQuery.Limits.text.refusal)),
            ("weight", InfluenceQuery.Limits.weight.refusal(of: weight)),
        ]
        return refusals.lazy.compactMap { field, reason in reason.map { (field, $0) } }.first
    }
}

extension InfluenceQuery {
    /// How the measurements of a behaviour's parts become one: `f = Σ wᵢ fᵢ`, divided by `Σ wᵢ` for the mean.
    public enum Combination: String, Sendable, Codable, CaseIterable {
        case mean, sum
    }

    /// A question about a behaviour: which training sequences made the model continue these prompts with these completions?
    ///
    /// It has one ranking, for the mean or the sum of the parts' log-probabilities.
    public init(
        id: String? = nil, behaviour: [BehaviourPart], combine: Combination = .mean, topK: Int = 20,
        direction: Direction = .positive, candidates: CandidateSelection = CandidateSelection(),
        rank: Rank = .faithful, rescore: Int = 100, damping: Double? = nil, estimator: Estimator = .ekfac,
        attribution: Breakdown = Breakdown()
    ) {
        self.init(
            id: id, prompt: "", completion: "", topK: topK, direction: direction, candidates: candidates, rank: rank,
            rescore: rescore, damping: damping, estimator: estimator, attribution: attribution)
        self.behaviour = behaviour
        self.combine = combine
    }

    /// All prompts with their completions: those of the behaviour, or the query's own.
    public var parts: [BehaviourPart] {
        if let behaviour { return behaviour }
        var part = BehaviourPart(prompt: prompt, completion: completion, contrast: contrast)
        (part.messages, part.droppedMessages) = (messages, droppedMessages)
        return [part]
    }

    /// Whether the query has a prompt and a completion of its own.
    var hasOwnTexts: Bool { behaviour == nil && messages == nil }

    /// The factor of each part's measurement in `f`.
    var shares: [Double] {
        guard let behaviour else { return [1] }
        let total = combine == .mean ? behaviour.reduce(0) { $0 + $1.weight } : 1
        return behaviour.map { $0.weight / total }
    }
}
