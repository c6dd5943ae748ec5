import JSON
import Limits

/// What a JSON value may be: a schema of JSON Schema 2020-12, as OpenAPI 3.1 has it.
struct Schema: Sendable, Equatable {
    /// The schema as it stands in the document.
    var tree: JSONTree

    /// A member of an object.
    struct Property: Sendable {
        var name: String
        var schema: Schema
        var isRequired: Bool

        /// A member that every object has.
        static func required(_ name: String, _ schema: Schema) -> Property {
            Property(name: name, schema: schema, isRequired: true)
        }

        /// A member that an object may lack.
        static func optional(_ name: String, _ schema: Schema) -> Property {
            Property(name: name, schema: schema, isRequired: false)
        }
    }

    /// An object of these members; of no others unless it is open.
    static func object(_ description: String, isOpen: Bool = false, _ properties: Property...) -> Schema {
        object(description, isOpen: isOpen, properties)
    }

    static func object(_ description: String, isOpen: Bool = false, _ properties: [Property]) -> Schema {
        let required = properties.filter(\.isRequired).map { JSONTree.string($0.name) }
        return Schema(
            tree: JSONTree(members: [
                ("type", "object"), ("description", .string(description)),
                ("properties", .object(properties.map { .init(name: $0.name, value: $0.schema.tree) })),
                ("required", required.isEmpty ? nil : .array(required)),
                ("additionalProperties", isOpen ? nil : false),
            ]))
    }

    /// - Parameter limit: Of a list that is sent to the server.
    static func array<Element>(
        _ description: String, of element: Schema, within limit: ListLimit<Element>
    ) -> Schema {
        let (minimum, maximum) = (limit.count.lowerBound, limit.count.upperBound)
        return Schema(
            tree: JSONTree(members: [
                ("type", "array"), ("description", .string(description)), ("items", element.tree),
                ("minItems", .number(String(minimum))), ("maxItems", .number(String(maximum))),
            ]))
    }

    static func array(_ description: String, of element: Schema) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "array"), ("description", .string(description)), ("items", element.tree),
            ]))
    }

    /// A text that is sent to the server. JSON Schema counts code points, of which a text has at most as many as bytes in UTF-8.
    static func string(
        _ description: String, within limit: TextLimit, example: String? = nil
    ) -> Schema {
        let (minimum, maximum) = (limit.bytes.lowerBound, limit.bytes.upperBound)
        return Schema(
            tree: JSONTree(members: [
                ("type", "string"), ("description", .string("\(description) At most \(maximum) bytes in UTF-8.")),
                ("minLength", minimum > 0 ? .number(String(minimum)) : nil), ("maxLength", .number(String(maximum))),
                ("examples", example.map { [.string($0)] }),
            ]))
    }

    /// - Parameter minimum: The least number of characters.
    static func string(
        _ description: String, atLeast minimum: Int? = nil, format: String? = nil, pattern: String? = nil,
        default fallback: String? = nil, example: String? = nil
    ) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "string"), ("description", .string(description)),
                ("minLength", minimum.map { .number(String($0)) }), ("format", format.map(JSONTree.string)),
                ("pattern", pattern.map(JSONTree.string)), ("default", fallback.map(JSONTree.string)),
                ("examples", example.map { [.string($0)] }),
            ]))
    }

    /// One of some words.
    static func choice(_ description: String, _ words: [String], default fallback: String? = nil) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "string"), ("description", .string(description)),
                ("enum", .array(words.map(JSONTree.string))), ("default", fallback.map(JSONTree.string)),
            ]))
    }

    static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ description: String, of type: Choice.Type, default fallback: Choice? = nil
    ) -> Schema {
        choice(description, type.allCases.map(\.rawValue), default: fallback?.rawValue)
    }

    static func integer(
        _ description: String, from minimum: Int? = nil, to maximum: Int? = nil, default fallback: Int? = nil
    ) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "integer"), ("description", .string(description)),
                ("minimum", minimum.map { .number(String($0)) }), ("maximum", maximum.map { .number(String($0)) }),
                ("default", fallback.map { .number(String($0)) }),
            ]))
    }

    /// A whole number that is sent to the server.
    static func integer<Integer: FixedWidthInteger & Sendable>(
        _ description: String, in limit: ClosedRange<Integer>, default fallback: Integer? = nil
    ) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "integer"), ("description", .string(description)),
                ("minimum", .number("\(limit.lowerBound)")), ("maximum", .number("\(limit.upperBound)")),
                ("default", fallback.map { .number("\($0)") }),
            ]))
    }

    /// A number that is sent to the server.
    static func number(_ description: String, in limit: NumberLimit, default fallback: Double? = nil) -> Schema {
        let bounds = [limit.lowest, limit.highest].map { JSONTree.number(NumberLimit.text($0)) }
        return Schema(
            tree: JSONTree(members: [
                ("type", "number"), ("description", .string(description)),
                (limit.isAboveLowest ? "exclusiveMinimum" : "minimum", bounds[0]),
                (limit.isBelowHighest ? "exclusiveMaximum" : "maximum", bounds[1]),
                ("default", fallback.map { .number(NumberLimit.text($0)) }),
            ]))
    }

    static func number(_ description: String, from minimum: Int? = nil, over bound: Int? = nil) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "number"), ("description", .string(description)),
                ("minimum", minimum.map { .number(String($0)) }),
                ("exclusiveMinimum", bound.map { .number(String($0)) }),
            ]))
    }

    static func boolean(_ description: String, default fallback: Bool? = nil) -> Schema {
        Schema(
            tree: JSONTree(members: [
                ("type", "boolean"), ("description", .string(description)),
                ("default", fallback.map(JSONTree.boolean)),
            ]))
    }

    /// Text that consists of items. OpenAPI 3.1 describes content as a whole, and so the schema is that of a text: what an item is
    /// stands under the name that version 3.2 has for it, as an extension that clients of 3.1 pass over.
    static func stream(_ description: String, of item: SchemaName) -> Schema {
        Schema(
            tree: ["type": "string", "description": .string(description), "x-itemSchema": reference(item).tree])
    }

    /// Any JSON value.
    static func anything(_ description: String) -> Schema { Schema(tree: ["description": .string(description)]) }

    /// Exactly one of several.
    static func oneOf(_ description: String, _ schemas: Schema...) -> Schema {
        Schema(tree: ["description": .string(description), "oneOf": .array(schemas.map(\.tree))])
    }

    /// A schema of ``SchemaName`` by its name.
    static func reference(_ name: SchemaName) -> Schema {
        Schema(tree: ["$ref": .string("#/components/schemas/\(name.rawValue)")])
    }

    /// The same with another description.
    func described(_ description: String) -> Schema {
        guard case .object(let members) = tree else { return self }
        return Schema(
            tree: .object(
                members.filter { $0.name != "description" } + [.init(name: "description", value: .string(description))])
        )
    }

    /// The same, or null.
    var orNull: Schema {
        guard let type = tree["type"], case .object(let members) = tree else {
            return Schema(tree: ["anyOf": [tree, ["type": "null"]]])
        }
        let nullable = members.map { member in
            switch member.name {
            case "type": JSONTree.Member(name: "type", value: [type, "null"])
            case "enum":
                if case .array(let words) = member.value {
                    JSONTree.Member(name: "enum", value: .array(words + [.null]))
                } else {
                    member
                }
            default: member
            }
        }
        return Schema(tree: .object(nullable))
    }
}

/// The schemas that the document names.
enum SchemaName: String, Sendable, CaseIterable {
    case influenceRequest = "InfluenceRequest"
    case query = "Query"
    case candidateSelection = "CandidateSelection"
    case queryResults = "QueryResults"
    case queryResult = "QueryResult"
    case resultList = "ResultList"
    case failedQuery = "FailedQuery"
    case scoreDistribution = "ScoreDistribution"
    case powerLaw = "PowerLaw"
    case sourceInfluence = "SourceInfluence"
    case prefilterBias = "PrefilterBias"
    case breakdown = "Breakdown"
    case completionSpan = "CompletionSpan"
    case understoodQuery = "UnderstoodQuery"
    case continuation = "Continuation"
    case timings = "Timings"
    case method = "Method"
    case layerScores = "LayerScores"
    case tokenScores = "TokenScores"
    case outputTokenScores = "OutputTokenScores"
    case scoresRequest = "ScoresRequest"
    case scores = "Scores"
    case queryToken = "QueryToken"
    case influentialSequence = "InfluentialSequence"
    case job = "Job"
    case jobTimings = "JobTimings"
    case jobList = "JobList"
    case event = "Event"
    case sequence = "Sequence"
    case sequenceList = "SequenceList"
    case searchResult = "SearchResult"
    case sequenceRecord = "SequenceRecord"
    case ingestion = "Ingestion"
    case corpusStatistics = "CorpusStatistics"
    case completionRequest = "CompletionRequest"
    case completion = "Completion"
    case model = "Model"
    case health = "Health"
    case callList = "CallList"
    case problem = "Problem"
    case embeddedProblem = "EmbeddedProblem"
    case problemKind = "ProblemKind"
    case problemKindList = "ProblemKindList"

    /// With the defaults and limits of the default configuration.
    var schema: Schema { schema(under: Configuration()) }

    func schema(under configuration: Configuration) -> Schema {
        switch self {
        case .influenceRequest: .influenceRequest(under: configuration)
        case .query: .query(under: configuration)
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
