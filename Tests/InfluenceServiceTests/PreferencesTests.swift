import HTTPTypes
import Testing

@testable import InfluenceService

@Suite("A client's preferences", .timeLimit(.minutes(30)))
struct PreferencesTests {
    @Test(
        "for waiting are read as RFC 7240 has them, and ignored where they are malformed",
        arguments: [
            (["wait=10"], 10), (["respond-async, wait=5"], 5), (["WAIT = \"7\"; foo=1"], 7),
            (["respond-async", "wait=3"], 3),
            (["wait=1, wait=2"], 1), (["wait=soon"], nil), (["wait=-1"], nil), (["wait"], nil), ([], nil),
        ])
    func wait(fields: [String], seconds: Int?) throws {
        var headers = HTTPFields()
        let name = try #require(HTTPField.Name("Prefer"))
        for field in fields { headers.append(HTTPField(name: name, value: field)) }
        #expect(Preferences(headers).wait == seconds)
    }

    @Test(
        "for media types choose the best, the server's favourite among equals",
        arguments: [
            (nil, "a/json"), ("", "a/json"), ("*/*", "a/json"), ("text/csv", "text/csv"), ("text/*", "text/csv"),
            ("a/json;q=0.5, text/csv", "text/csv"), ("TEXT/CSV; q=0.8, */*;q=0.1", "text/csv"), ("text/html", nil),
            ("a/json;q=0, */*", "text/csv"), ("text/csv;q=0", nil),
        ] as [(String?, String?)])
    func mediaTypes(accept: String?, chosen: String?) {
        #expect(ContentNegotiation.choose(accept, from: ["a/json", "text/csv"]) == chosen)
    }
}
