import JSON
import Limits

/// What a JSON value can be: a schema of JSON Schema 2020-12, which OpenAPI 3.1 uses.
struct Schema: Sendable, Equatable {
    var tree: JSONTree

    struct Property: Sendable {
        var name: String
        var schema: Schema
        var isRequired: Bool

        static func required(_ name: String, _ schema: Schema) -> Property {
            Property(name: name, schema: schema, isRequired: true)
        }

        static func optional(_ name: String, _ schema: Schema) -> Property {
            Property(name: name, schema: schema, isRequired: false)
        }

        /// A member that a client can leave out or set to null.
        static func nullable(_ name: String, _ schema: Schema) -> Property { optional(name, schema.orNull) }

        /// A required text that the server writes.
        static func text(_ name: String, _ description: String) -> Property { required(name, string(description)) }

        /// A required whole number that the server writes, zero or more unless it is said otherwise.
        static func count(_ name: String, _ description: String, from minimum: Int = 0) -> Property {
            required(name, integer(description, from: minimum))
        }

        static func value(_ name: String, _ description: String, from minimum: Int? = nil) -> Property {
            required(name, number(description, from: minimum))
        }

        /// A required list that the server writes.
        static func list(_ name: String, _ description: String, of element: Schema) -> Property {
            required(name, array(description, of: element))
        }

        static let others = count(
            "others", "How many further prompts the query has; absent if it has one prompt.", from: 1
        ).orAbsent

        static let loss = optional(
            "loss",
            array(
                "The parts of the text on which training took its loss, in order; absent if that is all of the text.",
                of: reference(.completionSpan)))

        static let nextCursor = text(
            "next_cursor", "The value to send as cursor for the next page; absent on the last page."
        ).orAbsent

        var orAbsent: Property { .optional(name, schema) }
    }

    private static func typed(
        _ type: String, _ description: String, _ members: KeyValuePairs<String, JSONTree?>
    ) -> Schema {
        let start: [(String, JSONTree?)] = [("type", .string(type)), ("description", .string(description))]
        return Schema(tree: JSONTree(members: start + members.map { ($0.key, $0.value) }))
    }

    private static func tree(_ number: (some FixedWidthInteger)?) -> JSONTree? { number.map { .number("\($0)") } }

    // MARK: - Objects and lists

    /// An object with these members, and with no others unless it is open.
    static func object(_ description: String, isOpen: Bool = false, _ properties: Property...) -> Schema {
        object(description, isOpen: isOpen, properties)
    }

    static func object(_ description: String, isOpen: Bool = false, _ properties: [Property]) -> Schema {
        let required = properties.filter(\.isRequired).map { JSONTree.string($0.name) }
        return typed(
            "object", description,
            [
                "properties": .object(properties.map { .init(name: $0.name, value: $0.schema.tree) }),
                "required": required.isEmpty ? nil : .array(required),
                "additionalProperties": isOpen ? nil : false,
            ])
    }

    static func array<Element>(
        _ description: String, of element: Schema, within limit: ListLimit<Element>
    ) -> Schema {
        typed(
            "array", description,
            [
                "items": element.tree, "minItems": tree(limit.count.lowerBound),
                "maxItems": tree(limit.count.upperBound),
            ])
    }

    static func array(_ description: String, of element: Schema) -> Schema {
        typed("array", description, ["items": element.tree])
    }

    // MARK: - Texts

    /// A text that is sent to the server. JSON Schema counts code points; a text has at most as many of them as bytes in UTF-8.
    static func string(_ description: String, within limit: TextLimit, example: String? = nil) -> Schema {
        let (minimum, maximum) = (limit.bytes.lowerBound, limit.bytes.upperBound)
        return typed(
            "string", "\(description) At most \(maximum) bytes in UTF-8.",
            [
                "minLength": minimum > 0 ? tree(minimum) : nil, "maxLength": tree(maximum),
                "examples": example.map { [.string($0)] },
            ])
    }

    static func string(
        _ description: String, atLeast minimum: Int? = nil, format: String? = nil, pattern: String? = nil,
        example: String? = nil
    ) -> Schema {
        typed(
            "string", description,
            [
                "minLength": tree(minimum), "format": format.map(JSONTree.string),
                "pattern": pattern.map(JSONTree.string), "examples": example.map { [.string($0)] },
            ])
    }

    static func choice(_ description: String, _ words: [String], default fallback: String? = nil) -> Schema {
        typed(
            "string", description,
            ["enum": .array(words.map(JSONTree.string)), "default": fallback.map(JSONTree.string)])
    }

    static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ description: String, of type: Choice.Type, default fallback: Choice? = nil
    ) -> Schema {
        choice(description, type.allCases.map(\.rawValue), default: fallback?.rawValue)
    }

    // MARK: - Numbers

    static func integer(_ description: String, from minimum: Int) -> Schema {
        typed("integer", description, ["minimum": tree(minimum)])
    }

    static func integer<Integer: FixedWidthInteger & Sendable>(
        _ description: String, in limit: ClosedRange<Integer>, default fallback: Integer? = nil
    ) -> Schema {
        typed(
            "integer", description,
            [
                "minimum": tree(limit.lowerBound), "maximum": tree(limit.upperBound), "default": tree(fallback),
            ])
    }

    static func number(_ description: String, in limit: NumberLimit, default fallback: Double? = nil) -> Schema {
        let bounds = [limit.lowest, limit.highest].map { JSONTree.number(NumberLimit.text($0)) }
        return typed(
            "number", description,
            [
                (limit.isAboveLowest ? "exclusiveMinimum" : "minimum"): bounds[0],
                (limit.isBelowHighest ? "exclusiveMaximum" : "maximum"): bounds[1],
                "default": fallback.map { .number(NumberLimit.text($0)) },
            ])
    }

    static func number(_ description: String, from minimum: Int? = nil, over bound: Int? = nil) -> Schema {
        typed("number", description, ["minimum": tree(minimum), "exclusiveMinimum": tree(bound)])
    }

    static func boolean(_ description: String, default fallback: Bool? = nil) -> Schema {
        typed("boolean", description, ["default": fallback.map(JSONTree.boolean)])
    }

    // MARK: - Others

    /// Text that consists of items. OpenAPI 3.1 describes content as a whole, so the schema is that of a text. The item's schema is an
    /// extension that clients of 3.1 ignore, under the name that version 3.2 has for it.
    static func stream(_ description: String, of item: SchemaName) -> Schema {
        typed("string", description, ["x-itemSchema": reference(item).tree])
    }

    static func anything(_ description: String) -> Schema { Schema(tree: ["description": .string(description)]) }

    static func oneOf(_ description: String, _ schemas: Schema...) -> Schema {
        Schema(tree: ["description": .string(description), "oneOf": .array(schemas.map(\.tree))])
    }

    static func reference(_ schema: SchemaName) -> Schema {
        Schema(tree: ["$ref": .string("#/components/schemas/\(schema.name)")])
    }

    /// An object that has the required members of exactly one alternative, and none of its excluded ones. A member that is null counts as
    /// absent.
    func with(alternatives: [(required: [String], excluded: [String])]) -> Schema {
        let schemas = alternatives.map { alternative -> JSONTree in
            let present = alternative.required.map { JSONTree.Member(name: $0, value: ["type": ["string", "array"]]) }
            let absent = alternative.excluded.map { JSONTree.Member(name: $0, value: ["type": "null"]) }
            return [
                "required": .array(alternative.required.map(JSONTree.string)), "properties": .object(present + absent),
            ]
        }
        return Schema(tree: tree.filling("oneOf", with: .array(schemas)))
    }

    var orNull: Schema {
        guard let type = tree["type"], case .object(let members) = tree else {
            return Schema(tree: ["anyOf": [tree, ["type": "null"]]])
        }
        let nullable = members.map { member in
            switch (member.name, member.value) {
            case ("type", _): JSONTree.Member(name: "type", value: [type, "null"])
            case ("enum", .array(let words)): JSONTree.Member(name: "enum", value: .array(words + [.null]))
            default: member
            }
        }
        return Schema(tree: .object(nullable))
    }
}

/// The schemas that the document names, in its order.
enum SchemaName: String, Sendable, CaseIterable {
    case influenceRequest, query, behaviourPart, candidateSelection, queryResults, queryResult, resultList, failedQuery,
        scoreDistribution, powerLaw, sourceInfluence, prefilterBias, breakdown, completionSpan, understoodQuery,
        understoodPart, continuation, timings, method, layerScores, tokenScores, outputTokenScores, scoresRequest,
        scores,
        queryToken, influentialSequence, job, allScores, jobTimings, jobList, event, sequence, sequenceList,
        searchResult,
        sequenceRecord, ingestion, corpusStatistics, completionRequest, completion, model, health, callList,
        problem, embeddedProblem, problemKind, problemKindList

    /// The name in the document, such as "QueryResult".
    var name: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }

    /// With the defaults and limits of the default configuration.
    var schema: Schema { schema(under: Configuration()) }

    func schema(under configuration: Configuration) -> Schema {
        switch self {
        case .influenceRequest: .influenceRequest(under: configuration)
        case .query: .query(under: configuration)
        case .behaviourPart: .behaviourPart
        case .candidateSelection: .candidateSelection(under: configuration)
        case .queryResults: .queryResults
        case .queryResult: .queryResult
        case .resultList: .resultList
        case .failedQuery: .failedQuery
        case .scoreDistribution: .scoreDistribution
        case .powerLaw: .powerLaw
        case .sourceInfluence: .sourceInfluence
        case .prefilterBias: .prefilterBias
        case .breakdown: .breakdown
        case .completionSpan: .completionSpan
        case .understoodQuery: .understoodQuery
        case .understoodPart: .understoodPart
        case .continuation: .continuation
        case .timings: .timings
        case .method: .method
        case .layerScores: .layerScores
        case .tokenScores: .tokenScores
        case .outputTokenScores: .outputTokenScores
        case .scoresRequest: .scoresRequest(under: configuration)
        case .scores: .scores
        case .queryToken: .queryToken
        case .influentialSequence: .influentialSequence
        case .job: .job
        case .allScores: .allScores
        case .jobTimings: .jobTimings
        case .jobList: .jobList
        case .event: .event
        case .sequence: .sequence
        case .sequenceList: .sequenceList
        case .searchResult: .searchResult
        case .sequenceRecord: .sequenceRecord
        case .ingestion: .ingestion
        case .corpusStatistics: .corpusStatistics
        case .completionRequest: .completionRequest
        case .completion: .completion
        case .model: .model
        case .health: .health
        case .callList: .callList
        case .problem: .problem
        case .embeddedProblem: .embeddedProblem
        case .problemKind: .problemKind
        case .problemKindList: .problemKindList
        }
    }
}
