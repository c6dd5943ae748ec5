import Files
import HTTP
import HTTPTypes

// The service's descriptions of itself: its problems, its calls, its dashboard and its client.
extension API {
    var problemOperations: [Operation] {
        [
            Operation(
                method: .get, pattern: "/problems", id: "listProblems", tag: .service, scope: nil,
                summary: "List the kinds of problems",
                answers: [.json("Every kind.", .problemKindList)], handler: getProblems),
            Operation(
                method: .get, pattern: "/problems/{name}", id: "getProblem", tag: .service, scope: nil,
                summary: "Explain a kind of problem",
                parameters: [
                    .path(
                        "name", "The last part of a problem's type.", schema: .string("A name.", example: "unknown-job")
                    )
                ], answers: [.json("The explanation.", .problemKind)], problems: [.unknownProblem], handler: getProblem),
        ]
    }

    @Sendable private func getProblems(_ request: Request) async throws -> Response {
        try .json(encoding: ProblemKindList(problems: ProblemKind.all.map(ProblemKindDocument.init)))
    }

    @Sendable private func getProblem(_ request: Request) async throws -> Response {
        let name = try request.parameter("name")
        guard let kind = ProblemKind.all.first(where: { $0.name == name }) else {
            throw Problem.unknownProblem(name)
        }
        return try .json(encoding: ProblemKindDocument(kind))
    }

    /// The list of calls and the OpenAPI document, both of which include themselves.
    func descriptionOperations(of others: [Operation]) -> [Operation] {
        let form = (mediaType: "application/json", schema: Schema(tree: ["type": "object"]))
        var operations = [
            rootOperation { Response() },
            Operation(
                method: .get, pattern: "/openapi.json", id: "getDescription", tag: .service, scope: nil,
                summary: "Get this description of the API (OpenAPI 3.1)",
                answers: [.init(status: .ok, content: .init(description: "The description.", forms: [form]))]
            ) { _ in Response() },
        ]
        let list = CallList(calls: (others + operations).map(CallList.Call.init))
        let document = OpenAPIDocument(
            others + operations, version: WritingProgram.version, needsTokens: authenticator.isRequired,
            configuration: configuration)
        let bytes = Array((document.tree.text + "\n").utf8)
        operations[0] = rootOperation { try .json(encoding: list) }
        operations[1].handler = { _ in .json(bytes) }
        return operations
    }
}

struct CallList: Encodable {
    var service = "tributary"
    var version = WritingProgram.version
    var calls: [Call]

    struct Call: Encodable {
        var method: String
        var path: String
        var summary: String

        init(_ operation: Operation) {
            method = operation.method.rawValue
            path = operation.pattern
            summary = operation.summary
        }
    }
}

struct ProblemKindList: Encodable {
    var problems: [ProblemKindDocument]
}

struct ProblemKindDocument: Encodable {
    var type: String
    var title: String
    var status: Int
    var explanation: String

    init(_ kind: ProblemKind) {
        type = kind.type
        title = kind.title
        status = kind.status.code
        explanation = kind.explanation
    }
}

// The dashboard and the client.
extension API {
    /// The root, which answers browsers with the dashboard and other clients with the list of calls.
    func rootOperation(_ list: @escaping @Sendable () throws -> Response) -> Operation {
        let html = (mediaType: "text/html", schema: Schema.string("The page."))
        var answer = Operation.Answer.json("The calls, or the dashboard, depending on Accept.", .callList)
        if dashboard != nil { answer.content.forms.append(html) }
        return Operation(
            method: .get, pattern: "/", id: "listCalls", tag: .service, scope: nil,
            summary: "List the calls; show the dashboard to browsers",
            answers: [answer]
        ) { request in
            let types = ["application/json", "text/html"]
            guard let dashboard,
                ContentNegotiation.choose(request.headers[.accept], from: types) == "text/html"
            else {
                var response = try list()
                response.headers[.vary] = "Accept"
                return response
            }
            return dashboard.pageResponse(to: request)
        }
    }

    var dashboardOperations: [Operation] {
        guard let dashboard else { return [] }
        let forms = Set(dashboard.parts.values.map(\.mediaType)).sorted().map {
            (mediaType: $0, schema: Schema.string("The file."))
        }
        return [
            Operation(
                method: .get, pattern: "/dashboard/{version}/{name}", id: "getDashboardPart", tag: .service, scope: nil,
                summary: "Get a part of the dashboard",
                parameters: [
                    .path(
                        "version", "The version of the contents, from the page.", schema: .string("Hexadecimal digits.")
                    ),
                    .path("name", "The part's file name.", schema: .string("A name.", example: "app.js")),
                ],
                answers: [.init(status: .ok, content: .init(description: "The part.", forms: forms))],
                problems: [.unknownRoute]
            ) { request in
                guard let response = dashboard.partResponse(to: request) else {
                    throw Problem.unknownRoute(path: request.path)
                }
                return response
            }
        ]
    }
}

extension API {
    var clientOperations: [Operation] {
        guard let client else { return [] }
        let form = (mediaType: PythonClient.mediaType, schema: Schema.string("The module."))
        return [
            Operation(
                method: .get, pattern: "/client.py", id: "getClient", tag: .service, scope: nil,
                summary: "Get the client for Python, a single file",
                details: "It needs only Python's standard library, and uses pandas and IPython if they are installed.",
                parameters: [.ifNoneMatch],
                answers: [
                    Operation.Answer(
                        status: .ok, content: .init(description: "The module.", forms: [form]),
                        headers: [("ETag", .string("The tag of its contents."))]), .notModified,
                ]
            ) { client.response(to: $0) }
        ]
    }
}
