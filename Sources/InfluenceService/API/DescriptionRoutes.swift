import Files
import HTTP
import HTTPTypes

// What the service says about itself.
extension API {
    var problemOperations: [Operation] {
        [
            Operation(
                .get, "/problems", id: "listProblems", tag: .service, scope: nil, "List the kinds of problems",
                answers: [.json("Every kind.", .problemKindList)], getProblems),
            Operation(
                .get, "/problems/{name}", id: "getProblem", tag: .service, scope: nil, "Explain a kind of problem",
                parameters: [
                    .path(
                        "name", "The last part of a problem's type.", .string("A name.", example: "unknown-job"))
                ], answers: [.json("What it means.", .problemKind)], problems: [.unknownProblem], getProblem),
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

    /// The list of calls and the document that describes them, in which both are themselves.
    func descriptionOperations(of others: [Operation]) -> [Operation] {
        let form = (mediaType: "application/json", schema: Schema(tree: ["type": "object"]))
        var operations = [
            rootOperation { Response() },
            Operation(
                .get, "/openapi.json", id: "getDescription", tag: .service, scope: nil,
                "Get this description of the API (OpenAPI 3.1)",
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

/// What there is to call, as clients see it.
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

/// A kind of problem, as clients see it.
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

// The pages for people, beside the calls for programs.
extension API {
    /// The root, where browsers get the dashboard and all others the list of calls.
    ///
    /// - Parameter list: What others get.
    func rootOperation(_ list: @escaping @Sendable () throws -> Response) -> Operation {
        let html = (mediaType: "text/html", schema: Schema.string("The page."))
        var answer = Operation.Answer.json("The calls, or the dashboard, as Accept asks.", .callList)
        if dashboard != nil { answer.content.forms.append(html) }
        return Operation(
            .get, "/", id: "listCalls", tag: .service, scope: nil, "List the calls; show the dashboard to browsers",
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
                .get, "/dashboard/{version}/{name}", id: "getDashboardPart", tag: .service, scope: nil,
                "Get a part of the dashboard",
                parameters: [
                    .path("version", "Names the contents; the page has it.", .string("Hexadecimal digits.")),
                    .path("name", "The part's file name.", .string("A name.", example: "app.js")),
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
                .get, "/client.py", id: "getClient", tag: .service, scope: nil,
                "Get the client for Python, a single file",
                details: "It needs Python's standard library alone, and uses pandas and IPython where they are there.",
                parameters: [.header("If-None-Match", "The tags of what is known already.", .string("Entity tags."))],
                answers: [
                    Operation.Answer(
                        status: .ok, content: .init(description: "The module.", forms: [form]),
                        headers: [("ETag", .string("Names its contents."))]),
                    Operation.Answer(status: .notModified, content: .init(description: "It is known.", forms: [])),
                ]
            ) { client.response(to: $0) }
        ]
    }
}
