import HTTP
import HTTPTypes
import JSON

struct OpenAPIDocument: Sendable {
    let tree: JSONTree

    /// - Parameter needsTokens: Whether calls with a scope are refused without a token.
    init(
        _ operations: [Operation], version: String, needsTokens: Bool, configuration: Configuration = Configuration()
    ) {
        tree = [
            "openapi": "3.1.0",
            "info": [
                "title": "Tributary",
                "version": .string(version),
                "summary": "Which training sequences made a language model say that?",
                "description": .string(Self.introduction),
                "license": ["name": "Apache License 2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/"]],
            "tags": .array(
                Operation.Tag.allCases.map { ["name": .string($0.rawValue), "description": .string($0.description)] }),
            "paths": Self.paths(operations, needsTokens: needsTokens),
            "components": [
                "schemas": .object(
                    SchemaName.allCases.map { .init(name: $0.name, value: $0.schema(under: configuration).tree) }),
                "responses": .object(
                    Self.grouped(ProblemKind.ofEveryCall).map { status, kinds in
                        .init(name: Self.name(ofProblems: status), value: Self.response(status, kinds))
                    }),
                "headers": .object(
                    Self.commonHeaders.map { .init(name: $0.name, value: Self.header($0.schema)) }),
                "securitySchemes": [
                    "bearer": [
                        "type": "http", "scheme": "bearer",
                        "description": .string(
                            "A token with a scope; each scope includes the ones before it: "
                                + Scope.allCases.map { "\($0.rawValue) (\($0.description))" }
                                .joined(separator: ", ")
                                + ". On a loopback address no token is needed by default."),
                    ]
                ],
            ],
        ]
    }

    private static let introduction = """
        Field names are snake_case. Times are RFC 3339 in UTC with milliseconds, durations are in seconds, scores in nats. Unknown \
        fields and query items are refused. Errors are application/problem+json (RFC 9457) with a stable type; GET /problems lists \
        all types. Every response has an X-Request-Id: the client's own if it sent one.
        """

    private static let commonHeaders = [
        (name: "X-Request-Id", schema: Schema.string("The request's id in the server's log."))
    ]

    // MARK: - Paths

    private static func paths(_ operations: [Operation], needsTokens: Bool) -> JSONTree {
        var patterns: [String] = []
        for operation in operations where !patterns.contains(operation.pattern) { patterns.append(operation.pattern) }
        return .object(
            patterns.map { pattern in
                let members = operations.filter { $0.pattern == pattern }.map {
                    JSONTree.Member(
                        name: $0.method.rawValue.lowercased(), value: tree(of: $0, needsTokens: needsTokens))
                }
                return JSONTree.Member(name: pattern, value: .object(members))
            })
    }

    private static func tree(of operation: Operation, needsTokens: Bool) -> JSONTree {
        JSONTree(members: [
            ("operationId", .string(operation.id)), ("tags", [.string(operation.tag.rawValue)]),
            ("summary", .string(operation.summary)), ("description", operation.details.map(JSONTree.string)),
            ("parameters", operation.parameters.isEmpty ? nil : .array(operation.parameters.map(tree))),
            (
                "requestBody",
                operation.body.map {
                    [
                        "description": .string($0.description), "required": true,
                        "content": content($0),
                    ]
                }
            ),
            ("responses", responses(of: operation)),
            (
                "security",
                operation.scope.map { scope in
                    let bearer: JSONTree = ["bearer": [.string(scope.rawValue)]]
                    // The empty requirement: the call also works without a token.
                    return needsTokens ? [bearer] : [bearer, [:]]
                } ?? []
            ),
        ])
    }

    private static func tree(of parameter: Operation.Parameter) -> JSONTree {
        [
            "name": .string(parameter.name), "in": .string(parameter.location.rawValue),
            "description": .string(parameter.description), "required": .boolean(parameter.isRequired),
            "schema": parameter.schema.tree,
        ]
    }

    private static func content(_ content: Operation.Content) -> JSONTree {
        .object(content.forms.map { .init(name: $0.mediaType, value: ["schema": $0.schema.tree]) })
    }

    // MARK: - Responses

    private static func responses(of operation: Operation) -> JSONTree {
        let problems = Dictionary(
            uniqueKeysWithValues: grouped(operation.allProblems).map { ($0.status, $0.kinds) })
        let answered = operation.answers.map { answer in
            let kinds = problems[answer.status.code] ?? []
            return JSONTree.Member(name: String(answer.status.code), value: response(answer, kinds))
        }
        let refused = problems.sorted { $0.key < $1.key }.filter { status, _ in
            !operation.answers.contains { $0.status.code == status }
        }
        return .object(
            answered
                + refused.map { status, kinds in
                    let isCommon = kinds.allSatisfy(ProblemKind.ofEveryCall.contains)
                    let name = name(ofProblems: status)
                    return JSONTree.Member(
                        name: String(status),
                        value: isCommon
                            ? ["$ref": .string("#/components/responses/\(name)")] : response(status, kinds))
                })
    }

    private static func response(_ answer: Operation.Answer, _ kinds: [ProblemKind]) -> JSONTree {
        var content = answer.content
        if !kinds.isEmpty {
            content.description += "\n\nOr a problem. " + text(of: kinds)
            content.forms.append(problemForm)
        }
        return [
            "description": .string(content.description), "headers": headers(answer.headers),
            "content": self.content(content),
        ]
    }

    private static let problemForm = (
        mediaType: "application/problem+json", schema: Schema.reference(.problem)
    )

    private static func text(of kinds: [ProblemKind]) -> String {
        kinds.map { "`\($0.type)`: \($0.explanation)" }.joined(separator: "\n\n")
    }

    private static func grouped(_ kinds: [ProblemKind]) -> [(status: Int, kinds: [ProblemKind])] {
        Dictionary(grouping: kinds, by: \.status.code).sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func name(ofProblems status: Int) -> String { "Problem\(status)" }

    private static func response(_ status: Int, _ kinds: [ProblemKind]) -> JSONTree {
        [
            "description": .string(text(of: kinds)), "headers": headers(headersOfProblems[status] ?? []),
            "content": content(.init(description: "", forms: [problemForm])),
        ]
    }

    private static let headersOfProblems: [Int: [(name: String, schema: Schema)]] = {
        let retry = [(name: "Retry-After", schema: Schema.integer("When to try again, in seconds.", from: 0))]
        let challenge = [
            (name: "WWW-Authenticate", schema: Schema.string("The required authentication (RFC 6750 section 3)."))
        ]
        let forms = [
            (name: "Accept", schema: Schema.string("The accepted media types, if the body's is not among them.")),
            (
                name: "Accept-Encoding",
                schema: Schema.string("The accepted content codings, if the body's is not among them.")
            ),
        ]
        return [401: challenge, 403: challenge, 415: forms, 429: retry, 503: retry]
    }()

    private static func headers(_ own: [(name: String, schema: Schema)]) -> JSONTree {
        .object(
            commonHeaders.map {
                .init(name: $0.name, value: ["$ref": .string("#/components/headers/\($0.name)")])
            } + own.map { .init(name: $0.name, value: header($0.schema)) })
    }

    private static func header(_ schema: Schema) -> JSONTree {
        JSONTree(members: [("description", schema.tree["description"]), ("schema", schema.tree)])
    }
}
