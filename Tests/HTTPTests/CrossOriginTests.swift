import HTTPTypes
import Testing

@testable import HTTP

@Suite("Requests of other origins")
struct CrossOriginTests {
    private func answer(
        _ origins: [String], origin: String?, method: HTTPRequest.Method = .get, asking: String? = nil
    ) async -> Response {
        var request = Request(method: method, path: "/", pathSegments: [])
        request.headers[.origin] = origin
        request.headers[.accessControlRequestMethod] = asking
        return await CrossOrigin(origins: origins).wrapping { _ in
            Response(status: .notFound, headers: [.vary: "Accept"])
        }(request)
    }

    @Test("are allowed by name")
    func named() async {
        let response = await answer(
            ["https://a.example", "http://localhost:8888"], origin: "http://localhost:8888")
        #expect(response.status == .notFound, "problems can be read, too")
        #expect(response.headers[.accessControlAllowOrigin] == "http://localhost:8888")
        #expect(
            response.headers[.accessControlExposeHeaders]
                == "Content-Location, ETag, Idempotent-Replayed, Location, Preference-Applied, Retry-After, X-Request-Id"
        )
        #expect(response.headers[.vary] == "Accept, Origin")
        #expect(response.headers[.accessControlAllowCredentials] == nil)
    }

    @Test(
        "are not allowed otherwise",
        arguments: [
            nil, "null", "https://b.example", "https://a.example.evil", "https://a.example:444",
            "http://a.example",
            "https://A.example", "https://evila.example",
        ])
    func others(origin: String?) async {
        let response = await answer(["https://a.example"], origin: origin)
        #expect(response.headers[.accessControlAllowOrigin] == nil)
        #expect(
            response.headers[.vary] == "Accept, Origin",
            "a cache must not give this to an origin that is let in")
        let preflight = await answer(
            ["https://a.example"], origin: origin, method: .options, asking: "POST")
        #expect(preflight.status == .notFound && preflight.headers[.accessControlAllowMethods] == nil)
    }

    @Test("are all allowed by a star, without credentials")
    func star() async {
        let response = await answer(["*"], origin: "https://b.example")
        #expect(
            response.headers[.accessControlAllowOrigin] == "*" && response.headers[.vary] == "Accept")
        #expect(response.headers[.accessControlAllowCredentials] == nil)
    }

    @Test("can ask first what is allowed")
    func preflight() async {
        let response = await answer(
            ["https://a.example"], origin: "https://a.example", method: .options, asking: "DELETE")
        #expect(
            response.status == .noContent
                && response.headers[.accessControlAllowOrigin] == "https://a.example")
        #expect(response.headers[.accessControlAllowMethods]?.contains("DELETE") == true)
        for name in ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"] {
            #expect(response.headers[.accessControlAllowHeaders]?.contains(name) == true)
        }
        #expect(response.headers[.accessControlMaxAge] == "600" && response.headers[.vary] == "Origin")
        let plain = await answer(["https://a.example"], origin: "https://a.example", method: .options)
        #expect(plain.status == .notFound, "an OPTIONS that asks for nothing is the handler's")
    }

    @Test("change nothing if none are allowed")
    func none() async {
        let response = await answer([], origin: "https://a.example")
        #expect(
            response.headers[.accessControlAllowOrigin] == nil && response.headers[.vary] == "Accept")
    }

    @Test(
        "have origins that differ from other texts",
        arguments: [
            ("https://a.example", true), ("http://localhost:8888", true), ("http://[::1]:80", true),
            ("*", true),
            ("https://a.example/", false), ("a.example", false), ("ftp://a.example", false),
            ("https://", false),
            ("https://A.example", false), ("null", false), ("", false), ("https://a b", false),
            ("https://*.a", false),
        ])
    func origins(text: String, isOrigin: Bool) {
        #expect(CrossOrigin.isOrigin(text) == isOrigin)
    }
}
