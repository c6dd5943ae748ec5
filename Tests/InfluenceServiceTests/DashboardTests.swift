import Foundation
import Testing

@testable import InfluenceService

@Suite("The dashboard", .timeLimit(.minutes(30)))
struct DashboardTests {
    private static let browser = ["Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]

    /// The sources of all parts by name, with the page as it is sent.
    private static func sources() throws -> [String: String] {
        let dashboard = try Dashboard.installed()
        var sources = dashboard.parts.mapValues { String(decoding: $0.bytes, as: UTF8.self) }
        sources["index.html"] = String(decoding: dashboard.page.bytes, as: UTF8.self)
        return sources
    }

    /// What a pattern's one group matches in a text.
    private static func matches(_ pattern: String, in text: String) throws -> [String] {
        let expression = try NSRegularExpression(pattern: pattern)
        return expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).compactMap {
            Range($0.range(at: 1), in: text).map { String(text[$0]) }
        }
    }

    @Test("is what browsers get at the root, and the list of calls what others get")
    func root() async throws {
        try await TestServer.run { server in
            let page = try await server.client.get("/", headers: Self.browser)
            #expect(page.status == 200)
            #expect(page.headers["content-type"] == "text/html; charset=utf-8")
            #expect(page.text.hasPrefix("<!doctype html>"))
            #expect(page.headers["vary"]?.contains("Accept") == true)
            for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
                let list = try await server.client.get("/", headers: ["Accept": accept])
                #expect(list.headers["content-type"] == "application/json")
                #expect(list.headers["vary"]?.contains("Accept") == true)
            }
        }
    }

    @Test("may run nothing and fetch nothing but what is this server's own")
    func policy() async throws {
        try await TestServer.run { server in
            let page = try await server.client.get("/", headers: Self.browser)
            let policy = try #require(page.headers["content-security-policy"])
            let directives = Set(policy.components(separatedBy: "; "))
            #expect(
                directives == [
                    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                    "img-src 'self' data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
                ])
            #expect(page.headers["x-content-type-options"] == "nosniff")
        }
    }

    @Test("is asked for again, and its parts once")
    func caching() async throws {
        try await TestServer.run { server in
            let page = try await server.client.get("/", headers: Self.browser)
            #expect(page.headers["cache-control"] == "no-cache")
            let tag = try #require(page.headers["etag"])
            let headers = Self.browser.merging(["If-None-Match": tag]) { $1 }
            #expect(try await server.client.get("/", headers: headers).status == 304)

            let dashboard = try Dashboard.installed()
            for (name, part) in dashboard.parts {
                let reply = try await server.client.get("/dashboard/\(dashboard.version)/\(name)")
                #expect(reply.status == 200, "\(name)")
                #expect(Array(reply.data) == part.bytes)
                #expect(reply.headers["content-type"] == part.contentType)
                #expect(reply.headers["cache-control"] == "public, max-age=31536000, immutable")
                #expect(reply.headers["x-content-type-options"] == "nosniff")
            }
        }
    }

    @Test("has no parts of another version, and none but its own files")
    func unknownParts() async throws {
        try await TestServer.run { server in
            let version = try Dashboard.installed().version
            let paths = [
                "0123/app.js", "\(version)/other.js", "\(version)/index.html", "\(version)/..%2FPackage.swift",
            ]
            for path in paths {
                try await server.client.get("/dashboard/" + path).expectProblem("unknown-route", status: 404)
            }
        }
    }

    @Test("needs no token for its files, even where the calls do")
    func tokens() async throws {
        let folder = try TemporaryFolder()
        let (token, _) = AccessToken.create(
            name: "reader", scope: .read, expires: nil, requestsPerMinute: nil, queuedQueries: nil)
        try TokenFile(folder.url.appending(path: TokenFile.name)).add(token)
        try await TestServer.run(
            in: folder, { $0.authentication.required = .always },
            test: { server in
                let version = try Dashboard.installed().version
                #expect(try await server.client.get("/", headers: Self.browser).status == 200)
                #expect(try await server.client.get("/dashboard/\(version)/app.js").status == 200)
                #expect(try await server.client.get("/v1/jobs").status == 401)
            })
    }

    @Test("refers to no file that is not there, and has none that nothing refers to")
    func references() throws {
        let version = try Dashboard.installed().version
        let sources = try Self.sources()
        let page = try #require(sources["index.html"])
        let linked = try Self.matches("(?:href|src)=\"(/dashboard/[^\"]*)\"", in: page)
        var named = Set(linked.map { $0.replacingOccurrences(of: "/dashboard/\(version)/", with: "") })
        // A module that is not preloaded would be fetched only when another has asked for it.
        #expect(named == Set(sources.keys).subtracting(["index.html"]))
        for (name, source) in sources where name.hasSuffix(".js") {
            let imported = try Self.matches("(?m)^import .* from \"([^\"]+)\";$", in: source)
            for path in imported {
                #expect(path.hasPrefix("./"), "\(name) imports \(path)")
                named.insert(String(path.dropFirst(2)))
            }
        }
        #expect(named.subtracting(sources.keys) == [])
    }

    @Test("fetches nothing from elsewhere")
    func elsewhere() throws {
        for (name, source) in try Self.sources() {
            let addresses = try Self.matches("(https?://[\\w.-]+)", in: source)
            #expect(Set(addresses).subtracting(["http://www.w3.org"]) == [], "\(name)")
        }
    }

    @Test(
        "never reads markup or code from a text",
        arguments: [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser",
            "createContextualFragment", "setHTML", "srcdoc", "javascript:", " onclick=\"", " style=\"",
        ])
    func markup(word: String) throws {
        for (name, source) in try Self.sources() {
            let code = source.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("//") }
            #expect(!code.contains { $0.contains(word) }, "\(name)")
        }
    }

    @Test("is less than 250 KB in all")
    func size() throws {
        let total = try Self.sources().values.reduce(0) { $0 + $1.utf8.count }
        #expect(total < 200_000)
    }

    @Test("has another version where any file differs")
    func version() throws {
        let folder = try TemporaryFolder()
        func write(_ text: String, _ name: String) throws {
            try Data(text.utf8).write(to: folder.url.appending(path: name))
        }
        try write("<script src=\"/dashboard/VERSION/a.js\"></script>", "index.html")
        try write("1", "a.js")
        let first = try Dashboard(folder: folder.url)
        #expect(String(decoding: first.page.bytes, as: UTF8.self).contains("/dashboard/\(first.version)/a.js"))
        #expect(try Dashboard(folder: folder.url).version == first.version)
        try write("2", "a.js")
        #expect(try Dashboard(folder: folder.url).version != first.version)
    }

    @Test("that is not installed is told of by name")
    func missing() throws {
        let folder = try TemporaryFolder()
        #expect(throws: ResourceError.missing("the dashboard", looked: [folder.url.appending(path: "index.html").path]))
        {
            try Dashboard(folder: folder.url)
        }
    }
}
