import HTTP
import HTTPTypes

/// One call of the API: its path, the scope that it needs, its parameters, its answers, and its handler.
///
/// Routes, the list at the root, the OpenAPI document and the tests are all made from these.
struct Operation: Sendable {
    var method: HTTPRequest.Method
    /// A path in which `{name}` stands for any one segment.
    var pattern: String
    /// Its name in generated clients, such as `listJobs`.
    var id: String
    var tag: Tag
    /// The scope that a client's token needs; nil for calls without a token.
    var scope: Scope?
    var summary: String
    var details: String?
    var parameters: [Parameter] = []
    var body: Content?
    var answers: [Answer]
    /// The call's own problems, besides those of every call, or of every call with a scope.
    var problems: [ProblemKind] = []
    var handler: Route.Handler

    enum Tag: String, Sendable, CaseIterable {
        case influence, jobs, corpus, model, service

        var description: String {
            switch self {
            case .influence: "Which training sequences made the model say something."
            case .jobs: "The jobs that answer queries, and their results."
            case .corpus: "The sequences that the model was trained on."
            case .model: "The model itself."
            case .service: "The server: its health, its measurements, its description."
            }
        }
    }

    struct Parameter: Sendable {
        enum Location: String, Sendable {
            case path, query, header
        }

        var location: Location
        var name: String
        var schema: Schema
        var isRequired: Bool
        var description: String

        static func path(_ name: String, _ description: String, schema: Schema) -> Parameter {
            Parameter(location: .path, name: name, schema: schema, isRequired: true, description: description)
        }

        static func query(
            _ name: String, _ description: String, schema: Schema, isRequired: Bool = false
        ) -> Parameter {
            Parameter(location: .query, name: name, schema: schema, isRequired: isRequired, description: description)
        }

        static func header(_ name: String, _ description: String, schema: Schema) -> Parameter {
            Parameter(location: .header, name: name, schema: schema, isRequired: false, description: description)
        }

        static let ifNoneMatch = header(
            "If-None-Match", "The tags of what the client already has.", schema: .string("Entity tags."))
    }

    struct Content: Sendable {
        var description: String
        var forms: [(mediaType: String, schema: Schema)]
        var codings: [String] = []

        static func json(_ description: String, _ schema: SchemaName) -> Content {
            Content(description: description, forms: [("application/json", .reference(schema))])
        }
    }

    /// A response that is not a problem.
    struct Answer: Sendable {
        var status: HTTPResponse.Status
        var content: Content
        var headers: [(name: String, schema: Schema)] = []

        static func json(
            _ description: String, _ schema: SchemaName, status: HTTPResponse.Status = .ok,
            headers: [(name: String, schema: Schema)] = []
        ) -> Answer {
            Answer(status: status, content: .json(description, schema), headers: headers)
        }

        static func empty(_ description: String, status: HTTPResponse.Status) -> Answer {
            Answer(status: status, content: Content(description: description, forms: []))
        }

        static let notModified = empty("The client already has it.", status: .notModified)
    }

    var allProblems: [ProblemKind] {
        let own = problems + (scope == nil ? [] : ProblemKind.ofScopedCalls)
        return own + ProblemKind.ofEveryCall.filter { !own.contains($0) }
    }

    var queryItems: [String] { parameters.filter { $0.location == .query }.map(\.name) }
}

extension Scope {
    /// What the scope allows in addition to the scopes before it.
    var description: String {
        switch self {
        case .read: "read jobs, results, sequences, the model and the measurements"
        case .query: "ask for influence and completions, and cancel jobs"
        case .admin: "add to the corpus"
        }
    }
}

extension ProblemKind {
    static let ofScopedCalls: [ProblemKind] = [
        .tokenMissing, .tokenInvalid, .tokenExpired, .scopeTooSmall, .tooManyRequests,
    ]

    static let ofEveryCall: [ProblemKind] = [
        .malformedRequest, .invalidField, .preconditionFailed, .requestTimeout, .bodyTooLarge, .targetTooLong,
        .unknownExpectation, .misdirectedRequest, .headerTooLarge, .internalError, .unknownTransferCoding, .unavailable,
        .tooManyConnections, .unsupportedVersion,
    ]

    static let ofEngineCalls: [ProblemKind] = [.starting, .startFailed, .stopping, .queryFailed]

    static let ofJSONBodies: [ProblemKind] = [.malformedJSON, .unsupportedMediaType, .unusableField]
}
