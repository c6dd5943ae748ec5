import JSON
import Testing

@testable import Attribution
@testable import InfluenceService

@Suite("What is shown of a query")
struct QueryLabelTests {
    @Test("is its prompt and completion")
    func completion() {
        let label = QueryLabel(InfluenceQuery(prompt: "a", completion: "b"))
        #expect((label.prompt, label.completion) == ("a", "b"))
        #expect(label.others == nil)
    }

    @Test("is the first part of a behaviour, with the number of the others")
    func behaviour() throws {
        let parts = (0..<200).map { BehaviourPart(prompt: String(repeating: "p", count: 100), completion: " c\($0)") }
        let label = QueryLabel(InfluenceQuery(behaviour: parts))
        #expect((label.prompt, label.completion) == (parts[0].prompt, " c0"))
        #expect(label.others == 199)
        let title = try #require(JobTitle([InfluenceQuery(behaviour: parts)]))
        #expect(title.prompt.count == JobTitle.promptLength)
        #expect((title.completion, title.others) == (" c0", 199))
        #expect(QueryLabel(InfluenceQuery(behaviour: [parts[0]])).others == nil)
    }

    @Test(
        "is the last two messages of a chat",
        arguments: [
            JSONTree.string("Hello."), [["type": "text", "text": "Hel"], ["type": "text", "text": "lo."]],
        ])
    func chat(content: JSONTree) {
        var query = InfluenceQuery(prompt: "", completion: "")
        query.messages = [
            ["role": "system", "content": "Be kind."], ["role": "user", "content": content],
            ["role": "assistant", "content": "Good day."],
        ]
        let label = QueryLabel(query)
        #expect((label.prompt, label.completion) == ("Hello.", "Good day."))
        let behaviour = QueryLabel(
            InfluenceQuery(behaviour: [
                BehaviourPart(messages: query.messages ?? []), BehaviourPart(prompt: "a", completion: "b"),
            ]))
        #expect((behaviour.prompt, behaviour.completion, behaviour.others) == ("Hello.", "Good day.", 1))
        query.messages = [["role": "assistant"]]
        #expect(QueryLabel(query).completion == "")
    }

    @Test("is in lists of jobs and in the answers to failed queries")
    func everywhere() async throws {
        try await TestServer.run { server in
            let body =
                #"[{"measurement": [{"prompt": "a", "completion": " broken"}, {"prompt": "c", "completion": "d"}]}]"#
            let reply = try await server.client.post("/v1/influence", json: body, headers: ["Prefer": "wait=600"])
            #expect(reply.status == 200)
            #expect(try reply.string("results.0.query.completion") == " broken")
            #expect(try reply.integer("results.0.query.others") == 1)
            let jobs = try await server.client.get("/v1/jobs")
            #expect(try jobs.string("jobs.0.title.prompt") == "a")
            #expect(try jobs.integer("jobs.0.title.others") == 1)
        }
    }
}
