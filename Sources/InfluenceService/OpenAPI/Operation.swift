import HTTP
import HTTPTypes

/// One call of the API: where it is found, who may use it, what it takes and answers, and how that is done.
///
/// Routes, the list at the root, the OpenAPI document and the tests are all made of these.
struct Operation: Sendable {
    var method: HTTPRequest.Method
    /// A path in which `{name}` stands for any one segment.
    var pattern: String
    /// Its name in generated clients, such as `listJobs`.
    var id: String
    var tag: Tag
    /// What a client's token must allow; nil for calls that are open to all.
    var scope: Scope?
    /// What it does, in a few words.
    var summary: String
    var details: String?
    var parameters: [Parameter]
    var body: Content?
    var answers: [Answer]
    /// The problems that it may answer with, besides those that every call has, or every call with a scope.
    var problems: [ProblemKind]
    var handler: Route.Handler

    init(
        _ method: HTTPRequest.Method, _ pattern: String, id: String, tag: Tag, scope: Scope?, _ summary: String,
        details: String? = nil, parameters: [Parameter] = [], body: Content? = nil, answers: [Answer],
        problems: [ProblemKind] = [], _ handler: @escaping Route.Handler
    ) {
        self.method = method
        self.pattern = pattern
        self.id = id
        self.tag = tag
        self.scope = scope
        self.summary = summary
        self.details = details
        self.parameters = parameters
        self.body = body
        self.answers = answers
        self.problems = problems
        self.handler = handler
    }

    /// What calls are about.
    enum Tag: String, Sendable, CaseIterable {
        case influence, jobs, corpus, model, service

        var description: String {
            switch self {
            case .influence: "Which training sequences made the model say something."
            case .jobs: "What has become of questions that were asked."
            case .corpus: "The sequences that the model was trained on."
            case .model: "The model itself."
            case .service: "The server: its health, its measurements, its description."
            }
        }
    }

    /// A part of the request outside its body.
    struct Parameter: Sendable {
        enum Place: String, Sendable {
            case path, query, header
        }

        var place: Place
        var name: String
        var schema: Schema
        var isRequired: Bool
        var description: String

        static func path(_ name: String, _ description: String, _ schema: Schema) -> Parameter {
            Parameter(place: .path, name: name, schema: schema, isRequired: true, description: description)
        }

        static func query(
            _ name: String, _ description: String, _ schema: Schema, isRequired: Bool = false
        ) -> Parameter {
            Parameter(place: .query, name: name, schema: schema, isRequired: isRequired, description: description)
        }

        static func header(_ name: String, _ description: String, _ schema: Schema) -> Parameter {
            Parameter(place: .header, name: name, schema: schema, isRequired: false, description: description)
        }
    }

    /// A body in one of several forms.
    struct Content: Sendable {
        var description: String
        var forms: [(mediaType: String, schema: Schema)]
        /// The content codings that a request's body may have.
        var codings: [String] = []
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
            Answer(
                status: status,
                content: Content(description: description, forms: [("application/json", .reference(schema))]),
                headers: headers)
        }
    }

    /// All the problems that it may answer with.
    var allProblems: [ProblemKind] {
        let own = problems + (scope == nil ? [] : ProblemKind.ofScopedCalls)
        return own + ProblemKind.ofEveryCall.filter { !own.contains($0) }
    }

    /// The names of the query items that it knows.
    var queryItems: [String] { parameters.filter { $0.place == .query }.map(\.name) }
}

extension Scope {
    /// What it allows beyond the scopes before it.
    var description: String {
        switch self {
        case .read: "look at jobs, results, sequences, the model and the measurements"
        case .query: "ask for influence and completions, and cancel jobs"
        case .admin: "add to the corpus"
        }
    }
}

extension ProblemKind {
    /// What calls that need a scope are answered with.
    static let ofScopedCalls: [ProblemKind] = [
        .tokenMissing, .tokenInvalid, .tokenExpired, .scopeTooSmall, .tooManyRequests,
    ]

    /// What any call may be answered with.
    static let ofEveryCall: [ProblemKind] = [
        .malformedRequest, .invalidField, .preconditionFailed, .requestTimeout, .bodyTooLarge, .targetTooLong,
        .unknownExpectation, .misdirectedRequest, .headerTooLarge, .internalError, .unknownTransferCoding, .unavailable,
        .tooManyConnections, .unsupportedVersion,
    ]

    /// What calls are answered with that need the engine, while it is not there.
    static let ofEngineCalls: [ProblemKind] = [.starting, .startFailed, .stopping, .queryFailed]

    /// What calls with a JSON body are answered with.
    static let ofJSONBodies: [ProblemKind] = [.malformedJSON, .unsupportedMediaType, .unusableField]
}
