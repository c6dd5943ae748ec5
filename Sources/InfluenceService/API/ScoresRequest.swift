import Attribution
import HTTP
import JSON

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
            guard !texts.isEmpty else {
                throw DecodingError.dataCorruptedError(
                    forKey: .texts, in: container, debugDescription: "expected at least one text")
            }
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
            id = try container.decodeIfPresent(String.self, forKey: .id)
            text = try container.decode(String.self, forKey: .text)
        }
    }
}

extension JSONTree {
    /// An object without one of its members.
    fileprivate func removing(_ name: String) -> JSONTree {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { $0.name != name })
    }
}

extension Configuration.Query {
    /// Refuses more texts, or longer ones, than are allowed.
    ///
    /// - Throws: A ``Problem`` with status 422 that names the field.
    func refuseTooMany(_ texts: [String], field: String) throws {
        guard texts.count <= maximumTexts else {
            throw Problem.unusableField(
                field,
                "expected at most \(maximumTexts) texts, found \(texts.count): ask for them in several requests")
        }
        for (index, text) in texts.enumerated() where text.utf8.count > maximumTextBytes {
            throw Problem.unusableField(
                "\(field)[\(index)]",
                "expected at most \(maximumTextBytes) bytes, found \(text.utf8.count): give it in pieces")
        }
    }
}
