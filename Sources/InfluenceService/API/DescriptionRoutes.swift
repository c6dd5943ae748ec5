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
            others + operations, version: Service.version, needsTokens: authenticator.isRequired,
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
    var version = Service.version
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
