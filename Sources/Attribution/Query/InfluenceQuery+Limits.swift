import JSON
import Limits

extension InfluenceQuery {
    /// The allowed values of a query's members. Requests, queries in files, options of the command line, defaults of the configuration and
    /// the description of the API share them.
    public enum Limits {
        /// The client's name for a query or a text.
        public static let id = TextLimit(bytes: 0...1_024)
        /// Prompts, completions and contrasts. A model's context is far shorter.
        public static let text = TextLimit(bytes: 1...1_048_576)
        public static let spans = ListLimit<CompletionSpan>(1...64, of: "spans")
        /// The parts of a behaviour.
        public static let behaviour = ListLimit<BehaviourPart>(1...1_000, of: "parts")
        /// The role of a message.
        public static let role = TextLimit(bytes: 1...64)
        /// The messages of a chat.
        public static let messages = ListLimit<JSONTree>(1...10_000, of: "messages")
        public static let weight = NumberLimit.from(1e-6, to: 1e6)
        /// In code points: a text has at most as many as it has bytes.
        public static let spanStart = 0...(text.bytes.upperBound - 1)
        public static let spanEnd = 1...text.bytes.upperBound
        public static let topK = 1...10_000
        public static let rank = 1...4_096
        public static let rescore = 0...10_000
        /// Gradients are divided by eigenvalues plus this number in Float32, in which a smaller number is zero and a larger one infinite.
        public static let damping = NumberLimit.from(
            Double(Float.leastNonzeroMagnitude), to: Double(Float.greatestFiniteMagnitude),
            "a positive number that Float32 can hold,")
        /// A number above that of the corpus's sequences stands for all of them.
        public static let candidates = 1...1_000_000_000
        public static let ids = ListLimit<String>(1...100_000, of: "ids")
        /// The name of a sequence, a document or a source.
        public static let name = TextLimit(bytes: 1...4_096)
        /// Ad-hoc texts; the configuration of a server allows fewer and shorter ones.
        public static let texts = ListLimit<String>(1...100_000, of: "texts")
        public static let adHocText = TextLimit(bytes: 1...1_073_741_824)
        /// A single sequence would tell nothing about the spread.
        public static let probe = 2...100_000
        public static let seed = UInt64.min...UInt64.max
    }

    /// Checks the query's numbers, lists and texts as its decoder does, without regard to the model.
    ///
    /// - Returns: The path of the first member at fault, and why it is refused; nil if all are allowed.
    func refusal() -> (field: String, reason: String)? {
        var refusals: [(field: String, reason: String?)] = [
            ("id", id.flatMap(Limits.id.refusal)),
            ("prompt", hasOwnTexts ? Limits.text.refusal(of: prompt) : nil),
            ("completion", hasOwnTexts ? Limits.text.refusal(of: completion) : nil),
            ("contrast", contrast.flatMap(Limits.text.refusal)),
            ("measurement", behaviour.flatMap(Limits.behaviour.refusal)),
            ("messages", messages.flatMap(Limits.messages.refusal)),
            ("spans", spans.flatMap(Limits.spans.refusal)), ("top_k", Limits.topK.refusal(of: topK)),
            ("rescore", Limits.rescore.refusal(of: rescore)), ("damping", damping.flatMap(Limits.damping.refusal)),
        ]
        if case .limited(let rank) = rank { refusals.append(("rank", Limits.rank.refusal(of: rank))) }
        refusals += [
            ("candidates.limit", Limits.candidates.refusal(of: candidates.limit)),
            ("candidates.ids", candidates.ids.flatMap(Limits.ids.refusal)),
            ("candidates.source", candidates.source.flatMap(Limits.name.refusal)),
            ("candidates.texts", candidates.texts.flatMap(Limits.texts.refusal)),
            ("candidates.probe", candidates.probe.flatMap(Limits.probe.refusal)),
        ]
        refusals += [("all_scores", allScoresRefusal), ("drop_turns", dropTurns ? dropTurnsRefusal : nil)]
        for (index, part) in (behaviour ?? []).enumerated() {
            if let (field, reason) = part.refusal() { return ("measurement[\(index)].\(field)", reason) }
        }
        return refusals.lazy.compactMap { field, reason in reason.map { (field, $0) } }.first
    }
}

extension InfluenceQuery {
    /// Why the query cannot say whether turns are dropped; nil if it can.
    var dropTurnsRefusal: String? {
        hasOwnTexts ? "expected this only beside messages or measurement: a prompt has no turns" : nil
    }

    var allScoresRefusal: String? {
        guard allScores, candidates.texts != nil else { return nil }
        return "expected no all_scores beside candidates.texts, all of which are returned with their scores"
    }
}

private struct AnyCodingKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) { (self.stringValue, intValue) = (stringValue, nil) }

    init(intValue: Int) { (stringValue, self.intValue) = ("\(intValue)", intValue) }
}

extension InfluenceQuery {
    /// Refuses messages without a role. The chat template decides about everything else.
    ///
    /// - Parameter path: The path of the messages.
    static func check(_ messages: [JSONTree], at path: [any CodingKey]) throws {
        for (index, message) in messages.enumerated() {
            var path = path + [AnyCodingKey(intValue: index)]
            var reason: String? = "expected an object with a role and a content, found \(message.shown)"
            if case .object = message {
                path.append(AnyCodingKey(stringValue: "role"))
                if case .string(let role)? = message["role"] {
                    reason = Limits.role.refusal(of: role)
                } else {
                    reason = "expected a string such as user or assistant, found \(message["role"]?.shown ?? "nothing")"
                }
            }
            guard let reason else { continue }
            throw DecodingError.dataCorrupted(.init(codingPath: path, debugDescription: reason))
        }
    }
}

extension Swift.Decoder {
    /// Refuses an object that has keys other than the known ones: otherwise a misspelt option would be silently ignored.
    ///
    /// - Throws: `DecodingError.dataCorrupted` whose coding path ends in the unknown key.
    public func refuseUnknownKeys<Key: CodingKey & CaseIterable>(of type: Key.Type) throws {
        let known = Key.allCases.map(\.stringValue)
        let container = try container(keyedBy: AnyCodingKey.self)
        for key in container.allKeys where !known.contains(where: { $0.hasSameBytes(as: key.stringValue) }) {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: codingPath + [key],
                    debugDescription: "unknown field; the known fields are \(known.joined(separator: ", "))"))
        }
    }
}
