import HTTPTypes
import Testing

@testable import HTTP

@Suite("An entity tag")
struct EntityTagTests {
    private func answer(
        _ condition: String?, method: HTTPRequest.Method = .get, tag: EntityTag = EntityTag("abc")
    ) -> Response? {
        var request = Request(method: method, path: "/", pathSegments: [])
        if let condition { request.headers[.ifNoneMatch] = condition }
        return request.notModified(tag, headers: [.cacheControl: "private"])
    }

    @Test(
        "that the client has is answered with 304",
        arguments: [
            ("\"abc\"", "\"abc\""), ("W/\"abc\"", "\"abc\""), ("*", "\"abc\""), (" * ", "\"abc\""),
            ("\"x\", \"abc\"", "\"abc\""), ("\"x,y\",W/\"abc\"", "\"abc\""),
            ("\"abc-gzip\"", "\"abc-gzip\""),
            ("\"x\"\t,\"abc-gzip\" , \"abc\"", "\"abc-gzip\""),
        ])
    func matches(condition: String, tag: String) throws {
        for method in [HTTPRequest.Method.get, .head] {
            let response = try #require(answer(condition, method: method))
            #expect(response.status == .notModified && response.headers[.eTag] == tag)
            #expect(response.headers[.cacheControl] == "private")
        }
    }

    @Test(
        "that If-Match asks for must be the resource's own, in either coding and strong",
        arguments: [
            ("\"abc\"", true), ("\"x\", \"abc-gzip\"", true), ("*", true), (" * ", true), ("W/\"abc\"", false),
            ("\"x\"", false), ("abc", false), ("", false),
        ])
    func ifMatch(condition: String, isMet: Bool) {
        for method in [HTTPRequest.Method.get, .head, .post, .delete] {
            let request = Request(method: method, path: "/", pathSegments: [], headers: [.ifMatch: condition])
            #expect(request.meetsPreconditions(of: Response(headers: [.eTag: "\"abc\""])) == isMet)
            #expect(!request.meetsPreconditions(of: Response(headers: [.eTag: "W/\"abc\""])) || condition.contains("*"))
            #expect(request.meetsPreconditions(of: Response()) == condition.contains("*"))
            #expect(!request.meetsPreconditions(of: nil))
        }
    }

    @Test("that If-None-Match excludes prevents the request")
    func ifNoneMatch() {
        for (condition, isMet) in [("\"abc\"", false), ("W/\"abc\"", false), ("*", false), ("\"x\"", true)] {
            var request = Request(method: .delete, path: "/", pathSegments: [], headers: [.ifNoneMatch: condition])
            #expect(request.meetsPreconditions(of: Response(headers: [.eTag: "\"abc\""])) == isMet)
            #expect(request.meetsPreconditions(of: Response()) == (condition != "*"))
            #expect(request.meetsPreconditions(of: nil))
            request.method = .get
            #expect(request.meetsPreconditions(of: Response(headers: [.eTag: "\"abc\""])), "304 is for that")
        }
    }

    @Test(
        "that the client does not have is not",
        arguments: [
            nil, "", "abc", "\"ABC\"", "\"ab\"", "\"abcd\"", "\"abc", "\"abc-br\"", "\"x*\"", "W/abc",
        ])
    func differs(condition: String?) {
        #expect(answer(condition) == nil)
    }

    @Test("does not matter to other methods")
    func methods() {
        #expect(answer("*", method: .post) == nil && answer("\"abc\"", method: .delete) == nil)
    }

    @Test("contains only the characters that a field allows")
    func characters() {
        #expect(EntityTag("a\"b c\u{E9}\r\n").description == "\"abc\"")
        #expect(EntityTag("abc", isWeak: true).description == "W/\"abc\"")
    }

    @Test("of a 304 refreshes the client's response, compressed or not")
    func compressed() async {
        let handler = Compression().wrapping { request in
            request.notModified(EntityTag("abc"))
                ?? Response(
                    contentType: "text/plain", body: [UInt8](repeating: 65, count: 5000),
                    headers: [.eTag: "\"abc\""])
        }
        var request = Request(method: .get, path: "/", pathSegments: [])
        request.headers[.acceptEncoding] = "gzip"
        let first = await handler(request)
        request.headers[.ifNoneMatch] = first.headers[.eTag]
        let second = await handler(request)
        #expect(first.status == .ok && second.status == .notModified)
        #expect(
            second.headers[.eTag] == first.headers[.eTag] && second.headers[.eTag] == "\"abc-gzip\"")
        #expect(second.headers[.vary] == "Accept-Encoding" && second.headers[.contentEncoding] == nil)
    }
}
