import Attribution
import Corpus
import Foundation
import JSON
import Testing

@testable import InfluenceService

@Suite("/v1/jobs/ID/events", .timeLimit(.minutes(30)))
struct JobEventsTests {
    /// The events of a reply's text, without comments.
    private func events(_ text: String) -> [(id: String, event: String, data: JSONTree?)] {
        text.components(separatedBy: "\n\n").compactMap { block in
            var fields: [String: String] = [:]
            for line in block.split(separator: "\n") where !line.hasPrefix(":") {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { fields[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces) }
            }
            guard let event = fields["event"] else { return nil }
            return (fields["id"] ?? "", event, try? JSONReader.read(Array((fields["data"] ?? "").utf8)))
        }
    }

    private func list(_ completions: String...) -> String {
        "[" + completions.map { "{\"id\": \"q\", \"prompt\": \"a\", \"completion\": \"\($0)\"}" }.joined(separator: ",")
            + "]"
    }

    @Test("tells a job's journey, and ends with it")
    func journey() async throws {
        try await TestServer.run { server in
            server.engine.hold(reporting: InfluenceProgress(stage: .sweep, done: 3, total: 8))
            let reply = try await server.client.post("/v1/influence", json: list("x", " broken"))
            let path = try #require(reply.headers["location"])
            try await server.sweeps(1)
            while try await server.client.get(path).integer("progress.done") != 3 {
                try await Task.sleep(for: .milliseconds(2))
            }
            async let stream = server.client.get(path + "/events")
            while server.followerCount(of: path) == 0 { try await Task.sleep(for: .milliseconds(2)) }
            server.engine.release()
            let followed = try await stream
            #expect(followed.status == 200)
            #expect(followed.headers["content-type"] == "text/event-stream")
            #expect(followed.text.hasPrefix("retry: 2000\n\n"))
            let told = events(followed.text)
            let kinds = told.map(\.event)
            #expect(kinds.suffix(4) == ["status", "query", "query", "end"])
            #expect(kinds.first == "status")
            #expect(Set(told.map(\.id)).count == told.count)
            guard let second = told[told.count - 2].data, let end = told.last?.data else {
                Issue.record("\(followed.text)")
                return
            }
            #expect(second["index"] == 1 && second["status"] == .string("failed"))
            #expect(second["id"] == .string("q") && second["error"] != nil)
            #expect(end["status"] == .string("succeeded") && end["result"] == .string(path + "/result"))
        }
    }

    @Test("goes on after the last event that was seen, in the next process too")
    func resumption() async throws {
        let folder = try TemporaryFolder()
        var path = ""
        var all: [(id: String, event: String, data: JSONTree?)] = []
        try await TestServer.run(in: folder) { server in
            let reply = try await server.client.post("/v1/influence", json: list("x", " broken", "y"))
            path = try #require(reply.headers["location"])
            _ = try await server.job(path, until: "succeeded")
            all = events(try await server.client.get(path + "/events").text)
            #expect(all.map(\.event) == ["status", "query", "query", "query", "end"])
        }
        try await TestServer.run(in: folder) { server in
            for seen in 0..<all.count - 1 {
                let rest = try await server.client.get(path + "/events", headers: ["Last-Event-ID": all[seen].id])
                #expect(events(rest.text).map(\.id) == all[(seen + 1)...].map(\.id))
            }
            // Who has seen the end need not come again.
            let over = try await server.client.get(path + "/events", headers: ["Last-Event-ID": all.last?.id ?? ""])
            #expect(over.status == 204)
            for id in ["", "x", "running-1", "running--1-2", "done-1-2", "running-1-99999999999999999999"] {
                let whole = try await server.client.get(path + "/events", headers: ["Last-Event-ID": id])
                #expect(events(whole.text).map(\.event) == all.map(\.event))
            }
        }
    }

    @Test("ends with a job that is cancelled")
    func cancellation() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let path = try await server.post("a")
            try await server.sweeps(1)
            async let stream = server.client.get(path + "/events")
            _ = try await server.client.send("DELETE", path)
            let told = events(try await stream.text)
            #expect(told.last?.event == "end")
            #expect(told.last?.data?["status"] == "cancelled")
        }
    }

    @Test("ends without an end when the server stops, so that the client comes again")
    func stop() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let path = try await server.post("a")
            try await server.sweeps(1)
            async let stream = server.client.get(path + "/events")
            while server.followerCount(of: path) == 0 { try await Task.sleep(for: .milliseconds(2)) }
            await server.service.shutdown(grace: .zero)
            let told = events((try? await stream.text) ?? "")
            #expect(!told.contains { $0.event == "end" })
        }
    }

    @Test("is not there for a job that is not there")
    func unknown() async throws {
        try await TestServer.run { server in
            try await server.client.get("/v1/jobs/\(JobIdentifier())/events").expectProblem("unknown-job", status: 404)
        }
    }
}

@Suite("A stream of events", .timeLimit(.minutes(30)))
struct JobEventStreamTests {
    private let folder: TemporaryFolder
    private let store: JobStore
    private let batch = JobTimings.Batch(id: "B", size: 1, number: 1)

    init() throws {
        folder = try TemporaryFolder()
        store = try JobStore(file: folder.url.appending(path: "jobs.sqlite"))
    }

    private func stream(of id: JobIdentifier, heartbeat: Duration = .seconds(3_600)) -> JobEventStream {
        JobEventStream(store: store, job: id, events: JobEvents(), heartbeat: heartbeat, interval: .zero)
    }

    @Test("has a comment in a long silence")
    func heartbeat() async throws {
        let id = try await store.add([InfluenceQuery(prompt: "a", completion: "x")], isList: false).id
        var iterator = stream(of: id, heartbeat: .milliseconds(5)).makeAsyncIterator()
        _ = try await iterator.next()
        _ = try await iterator.next()
        for _ in 0..<3 { #expect(try await iterator.next() == ServerSentEvent.comment("still there")) }
    }

    @Test("tells a slow reader where the job is, and not where it was")
    func slowReader() async throws {
        let id = try await store.add([InfluenceQuery(prompt: "a", completion: "x")], isList: false).id
        var iterator = stream(of: id).makeAsyncIterator()
        _ = try await iterator.next()
        _ = try await store.start([id], batch: batch)
        for done in 1...10_000 {
            store.board.show(InfluenceProgress(stage: .sweep, done: done, total: 10_000), secondsLeft: 1.25, of: [id])
        }
        let text = String(decoding: try await iterator.next() ?? [], as: UTF8.self)
        #expect(text.components(separatedBy: "event: progress").count == 2)
        #expect(text.contains("{\"done\":10000,\"seconds_left\":1.3,\"stage\":\"sweep\",\"total\":10000}"))
        try await store.record([JobOutcomes(id: id, outcomes: [0: .result(Data())], seconds: [:])])
        let end = String(decoding: try await iterator.next() ?? [], as: UTF8.self)
        #expect(end.contains("event: end"))
        #expect(try await iterator.next() == nil)
    }

    @Test("leaves nothing on the board when it is let go")
    func release() async throws {
        let id = try await store.add([InfluenceQuery(prompt: "a", completion: "x")], isList: false).id
        do {
            var iterator = stream(of: id).makeAsyncIterator()
            _ = try await iterator.next()
            #expect(store.board.followerCount(of: id) == 1)
        }
        #expect(store.board.followerCount(of: id) == 0)
    }
}
