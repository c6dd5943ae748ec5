import Attribution
import HTTP
import JSON
import Limits

/// The body of POST /v1/scores: texts, and the query whose completion they are held against.
struct ScoresRequest {
    /// With the texts as its candidates.
    var query: InfluenceQuery
    /// The asker's own name of each text, where it has one.
    var ids: [String?]

    /// Reads the body.
    ///
    /// - Throws: A ``Problem`` with status 422 that names the field.
    init(_ body: JSONTree, limits: Configuration.Query) throws {
        let texts = try body.decoded(as: Members.self).texts
        ids = texts.map(\.id)
        // What is left is a query, which knows its own members.
        query = try body.removing("texts").decoded(as: InfluenceQuery.self)
        query.candidates = CandidateSelection(texts: texts.map(\.text))
        try limits.refuseTooMany(texts.map(\.text), field: "texts")
    }

    /// The members that there may be, and what is read here.
    private struct Members: Decodable {
        var texts: [Text]

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case prompt, completion, spans, contrast, texts, damping, estimator, attribution
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseUnknownKeys(of: CodingKeys.self)
            let container = try decoder.container(keyedBy: CodingKeys.self)
            texts = try container.decode([Text].self, forKey: .texts)
        }
    }

    /// A text, by itself or with a name.
    private struct Text: Decodable {
        var id: String?
        var text: String

        private enum CodingKeys: String, CodingKey, CaseIterable { case id, text }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self.text = text
                return
            }
            try decoder.refuseUnknownKeys(of: CodingKeys.self)
            let container = try decoder.container(keyedBy: CodingKeys.self)
            id = try container.decodeIfPresent(.id, within: InfluenceQuery.Limits.id)
            text = try container.decode(String.self, forKey: .text)
        }
    }
}

extension JSONTree {
    /// An object without one of its members.
    fileprivate func removing(_ name: String) -> JSONTree {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { !$0.name.hasSameBytes(as: name) })
    }
}

extension Configuration.Query {
    /// How many ad-hoc texts a query can have.
    var texts: ListLimit<String> { ListLimit(1...max(maximumTexts, 1), of: "texts") }

    /// How long each of them can be.
    var text: TextLimit { TextLimit(bytes: 1...max(maximumTextBytes, 1)) }

    /// Refuses more texts, or longer ones, than are allowed.
    ///
    /// - Throws: A ``Problem`` with status 422 that names the field.
    func refuseTooMany(_ texts: [String]?, field: String) throws {
        guard let texts else { return }
        if let refusal = self.texts.refusal(of: texts) {
            throw Problem.unusableField(field, texts.isEmpty ? refusal : "\(refusal): send them in several requests")
        }
        for (index, text) in texts.enumerated() {
            guard let refusal = self.text.refusal(of: text) else { continue }
            throw Problem.unusableField("\(field)[\(index)]", text.isEmpty ? refusal : "\(refusal): split the text")
        }
    }
}
