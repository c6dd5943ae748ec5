import Foundation

/// What the records of a run depend on: records of two that differ in any of it are never mixed.
public struct RunIdentity: Sendable, Codable, Equatable {
    /// The question that is evaluated, such as "lds".
    public var evaluation: String
    /// Digests of what it is asked of; empty where the records do not depend on it.
    public var model: String
    public var corpus: String
    public var factors: String
    public var seed: UInt64
    /// Everything else that matters, by name.
    public var settings: [String: String]

    public init(
        evaluation: String, model: String = "", corpus: String = "", factors: String = "", seed: UInt64,
        settings: [String: String] = [:]
    ) {
        self.evaluation = evaluation
        self.model = model
        self.corpus = corpus
        self.factors = factors
        self.seed = seed
        self.settings = settings
    }

    /// A setting of several values as one text.
    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Names of what differs, for people.
    func differences(from other: RunIdentity) -> [String] {
        var names: [String] = []
        if evaluation != other.evaluation { names.append("evaluation") }
        if model != other.model { names.append("model") }
        if corpus != other.corpus { names.append("corpus") }
        if factors != other.factors { names.append("factors") }
        if seed != other.seed { names.append("seed") }
        names += Set(settings.keys).union(other.settings.keys).filter { settings[$0] != other.settings[$0] }.sorted()
        return names
    }
}
