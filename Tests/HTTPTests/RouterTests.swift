import HTTPTypes
import Testing

@testable import HTTP

@Suite("A router")
struct RouterTests {
    private static func router(_ patterns: [(HTTPRequest.Method, String)]) throws -> Router {
        try Router(
            routes: patterns.map { method, pattern in
                Route(method, pattern, summary: "") { request in
                    let values = request.parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                    return .text(([pattern] + values).joined(separator: " "))
                }
            }, logger: .silent)
    }

    private static func request(_ method: HTTPRequest.Method, _ path: String) throws -> Request {
        let target = try RequestTarget(Array(path.utf8)[...], method: method.rawValue)
        return Request(method: method, path: target.path, pathSegments: target.segments, query: target.query)
    }

    private static func text(_ response: Response) -> String {
        guard case .bytes(let bytes) = response.body else { return "a stream" }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let patterns: [(HTTPRequest.Method, String)] = [
        (.get, "/"), (.get, "/v1/jobs"), (.post, "/v1/jobs"), (.get, "/v1/jobs/{id}"), (.delete, "/v1/jobs/{id}"),
        (.get, "/v1/jobs/{id}/result"), (.get, "/v1/jobs/latest"), (.get, "/{a}/{b}/x"),
    ]

    @Test(
        "finds the route of a path",
        arguments: [
            ("/", "/"), ("/v1/jobs", "/v1/jobs"), ("/v1/jobs/7", "/v1/jobs/{id} id=7"),
            ("/v1/jobs/a%2Fb%20c", "/v1/jobs/{id} id=a/b c"), ("/v1/jobs/latest", "/v1/jobs/latest"),
            ("/v1/jobs/latest/result", "/v1/jobs/{id}/result id=latest"), ("/v1/%6Aobs?x=y", "/v1/jobs"),
            ("/v1/jobs/x", "/v1/jobs/{id} id=x"), ("/v1/other/x", "/{a}/{b}/x a=v1 b=other"),
        ])
    func finds(path: String, expected: String) async throws {
        let response = try await Self.router(Self.patterns).respond(to: Self.request(.get, path))
        #expect(response.status == .ok && Self.text(response) == expected)
    }

    @Test(
        "answers unknown paths with 404",
        arguments: ["/v1", "/v1/jobs/", "/v1/jobs//result", "/v1/jobs/7/", "//", "/V1/jobs"])
    func unknown(path: String) async throws {
        let response = try await Self.router(Self.patterns).respond(to: Self.request(.get, path))
        #expect(response.status == .notFound)
        #expect(Self.text(response).contains("/problems/unknown-route"))
    }

    @Test("answers other methods with 405 and the allowed methods")
    func methods() async throws {
        let router = try Self.router(Self.patterns)
        let response = try await router.respond(to: Self.request(.put, "/v1/jobs/7"))
        #expect(response.status == .methodNotAllowed)
        #expect(response.headers[.allow] == "DELETE, GET, HEAD, OPTIONS")
        let head = try await router.respond(to: Self.request(.head, "/v1/jobs/7"))
        #expect(head.status == .ok && Self.text(head) == "/v1/jobs/{id} id=7")
    }

    @Test("answers OPTIONS itself, for a path and for the server")
    func options() async throws {
        let router = try Self.router(Self.patterns)
        let one = try await router.respond(to: Self.request(.options, "/v1/jobs"))
        #expect(one.status == .noContent && one.headers[.allow] == "GET, HEAD, OPTIONS, POST")
        let all = try await router.respond(to: Self.request(.options, "*"))
        #expect(all.status == .noContent && all.headers[.allow] == "DELETE, GET, HEAD, OPTIONS, POST")
        let none = try await router.respond(to: Self.request(.options, "/nothing"))
        #expect(none.status == .notFound)
    }

    @Test("says what is wrong with its routes")
    func mistakes() {
        func error(_ patterns: String...) -> RouterError? {
            do throws(RouterError) {
                _ = try Router(
                    routes: patterns.map { Route(.get, $0, summary: "") { _ in Response() } }, logger: .silent)
                return nil
            } catch {
                return error
            }
        }
        #expect(error("/a", "/a") == .duplicateRoute(method: "GET", pattern: "/a", other: "/a"))
        #expect(error("/{a}/b", "/{c}/b") == .duplicateRoute(method: "GET", pattern: "/{c}/b", other: "/{a}/b"))
        #expect(error("/{a}/b", "/{c}/d") == nil)
        for pattern in ["a", "", "/{a", "/a}", "/{}", "/x{a}", "/{a}{b}", "/{a}/{a}"] {
            guard case .malformedPattern(pattern, _) = error(pattern) else {
                Issue.record("\(pattern) was taken")
                continue
            }
        }
    }

    @Test("answers what handlers throw")
    func errors() async throws {
        struct Secret: Error {}
        let router = try Router(
            routes: [
                Route(.get, "/problem", summary: "") { _ in throw Problem.invalidField("top_k", detail: "Too many.") },
                Route(.get, "/error", summary: "") { _ in throw Secret() },
                Route(.get, "/cancelled", summary: "") { _ in throw CancellationError() },
                Route(.get, "/parameter", summary: "") { .text(try $0.parameter("id")) },
            ], logger: .silent)
        let problem = try await router.respond(to: Self.request(.get, "/problem"))
        #expect(problem.status == .badRequest && Self.text(problem).contains("\"field\": \"top_k\""))
        let error = try await router.respond(to: Self.request(.get, "/error"))
        #expect(error.status == .internalServerError && !Self.text(error).contains("Secret"))
        let cancelled = try await router.respond(to: Self.request(.get, "/cancelled"))
        #expect(cancelled.status == .serviceUnavailable && cancelled.headers[.retryAfter] == "1")
        #expect(try await router.respond(to: Self.request(.get, "/parameter")).status == .internalServerError)
    }
}
