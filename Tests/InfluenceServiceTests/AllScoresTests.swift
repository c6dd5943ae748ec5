import Attribution
import Files
import Foundation
import JSON
import Testing

@testable import InfluenceService

@Suite("All scores", .timeLimit(.minutes(30)))
struct AllScoresTests {
    private static let json = """
        {"prompt": "a", "completion": " Paris", "all_scores": true}
        """

    /// Posts one or several queries, and waits for the end of their job.
    private func end(_ server: TestServer, _ json: String = Self.json, as status: String = "succeeded") async throws
        -> String
    {
        let reply = try await server.client.post("/v1/influence", json: json)
        let path = try #require(reply.headers["location"], "\(reply.text)")
        _ = try await server.job(path, until: status)
        return path
    }

    private func lines(_ reply: Reply) -> [Substring] {
        reply.text.split(separator: "\n", omittingEmptySubsequences: true)
    }

    @Test("are listed in the corpus's order with ids, those of zero included, and null where the model overflows")
    func ndjson() async throws {
        try await TestServer.run { server in
            let path = try await end(server)
            let job = try await server.client.get(path)
            #expect(try job.string("scores") == path + "/scores")
            let reply = try await server.client.get(path + "/scores", headers: ["Accept": "application/x-ndjson"])
            #expect(reply.status == 200 && reply.headers["content-type"] == "application/x-ndjson")
            let lines = lines(reply)
            #expect(lines.count == FakeEngine.scored)
            #expect(lines[0] == #"{"id":"s0, \"=\"","score":0.0,"rescored":false}"#)
            #expect(lines[4] == #"{"id":"s4, \"=\"","score":2.0,"rescored":true}"#)
            #expect(lines[16_385] == #"{"id":"s16385, \"=\"","score":-8192.5,"rescored":false}"#)
            #expect(lines[FakeEngine.scored - 1].contains(#""score":null"#))
        }
    }

    @Test("are a table for spreadsheets, with ids quoted")
    func csv() async throws {
        try await TestServer.run { server in
            let path = try await end(server)
            let reply = try await server.client.get(path + "/scores", headers: ["Accept": "text/csv"])
            let lines = reply.text.components(separatedBy: "\r\n")
            #expect(lines.count == FakeEngine.scored + 2 && lines.last == "")
            #expect(lines[0] == "id,score,rescored")
            #expect(lines[5] == "\"s4, \"\"=\"\"\",2.0,true")
            #expect(lines[FakeEngine.scored].hasSuffix(",,false"))
        }
    }

    @Test("are an array of Float64 as NumPy maps it, with the ids beside it")
    func npy() async throws {
        try await TestServer.run { server in
            let path = try await end(server)
            let data = try await server.client.get(path + "/scores", headers: ["Accept": "application/x-npy"]).data
            #expect(data.prefix(8) == Data([0x93] + Array("NUMPY".utf8) + [1, 0]))
            let length = Int(data[8]) + 256 * Int(data[9])
            #expect((10 + length) % 64 == 0)
            let header = String(decoding: data[10..<(10 + length)], as: UTF8.self)
            #expect(
                header.hasPrefix("{'descr': '<f8', 'fortran_order': False, 'shape': (\(FakeEngine.scored),), }")
                    && header.hasSuffix("\n"))
            let numbers = data.dropFirst(10 + length).littleEndianNumbers(UInt64.self).map(Double.init(bitPattern:))
            #expect(numbers.count == FakeEngine.scored)
            #expect(numbers.dropLast() == FakeEngine.allScores.scores.dropLast())
            #expect(numbers.last?.isNaN == true)
            let ids = lines(try await server.client.get(path + "/scores/ids"))
            #expect(ids.count == FakeEngine.scored && ids[4] == #""s4, \"=\"""#)
        }
    }

    @Test("come page by page, or from a cursor to the end")
    func pages() async throws {
        try await TestServer.run { server in
            let path = try await end(server)
            var scores: [JSONTree] = []
            var (cursor, pages): (String?, Int) = (nil, 0)
            repeat {
                let page = try await server.client.get(
                    path + "/scores?limit=999" + (cursor.map { "&cursor=\($0)" } ?? ""))
                #expect(try page.integer("candidates") == FakeEngine.scored)
                guard case .array(let rows) = try page.value("scores") else {
                    Issue.record("no page: \(page.text)")
                    return
                }
                scores += rows
                cursor = try page.string("next_cursor")
                pages += 1
            } while cursor != nil && pages < 100
            #expect(pages == (FakeEngine.scored + 998) / 999)
            #expect(scores.count == FakeEngine.scored)
            #expect(scores[20_001]["score"] == .number("-10000.5"))
            #expect(scores.last?["score"] == .null)
            let rest = try await server.client.get(
                path + "/scores?cursor=20001", headers: ["Accept": "application/x-ndjson"])
            #expect(lines(rest).count == FakeEngine.scored - 20_001)
            #expect(lines(rest).first?.contains(#""score":-10000.5"#) == true)
            let end = try await server.client.get(
                path + "/scores?cursor=\(FakeEngine.scored)", headers: ["Accept": "application/x-ndjson"])
            #expect(end.status == 200 && end.data.isEmpty)
        }
    }

    @Test("are kept per query of a list; a query without them, or one that failed, has none")
    func lists() async throws {
        try await TestServer.run { server in
            let path = try await end(
                server,
                """
                [{"prompt": "a", "completion": "x"}, {"prompt": "b", "completion": "x", "all_scores": true},
                 {"prompt": "c", "completion": " broken", "all_scores": true}]
                """)
            let scores = path + "/scores"
            #expect(try await server.client.get(scores + "?query=1").integer("candidates") == FakeEngine.scored)
            try await server.client.get(scores).expectProblem("scores-not-kept", status: 409, says: "all_scores")
            try await server.client.get(scores + "?query=2").expectProblem("query-failed", status: 500)
            try await server.client.get(scores + "?query=3").expectProblem(
                "invalid-field", status: 400, field: "query", says: "from 0 to 2")
            for cursor in ["0", "-1", "01", "x", "\(FakeEngine.scored + 1)", "99999999999999999999"] {
                try await server.client.get(scores + "?query=1&cursor=\(cursor)").expectProblem(
                    "invalid-field", status: 400, field: "cursor")
            }
            try await server.client.get(scores + "?query=1", headers: ["Accept": "image/png"]).expectProblem(
                "not-acceptable", status: 406, says: "application/x-npy")
        }
    }

    @Test("are not there before the job ends, nor after it is cancelled")
    func states() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let reply = try await server.client.post("/v1/influence", json: Self.json)
            let path = try #require(reply.headers["location"])
            try await server.client.get(path + "/scores").expectProblem("job-not-finished", status: 409)
            _ = try await server.client.send("DELETE", path)
            try await server.client.get(path + "/scores").expectProblem("job-cancelled", status: 409)
            try await server.client.get("/v1/jobs/\(JobIdentifier())/scores").expectProblem("unknown-job", status: 404)
        }
    }

    @Test("are refused beside texts, all of which are returned")
    func texts() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post(
                "/v1/influence",
                json: """
                    {"prompt": "a", "completion": "b", "candidates": {"texts": ["c"]}, "all_scores": true}
                    """)
            try reply.expectProblem("unusable-field", status: 422, field: "all_scores", says: "candidates.texts")
        }
    }
}

@Suite("The job store's scores", .timeLimit(.minutes(30)))
struct StoredScoresTests {
    @Test("survive the process, count as bytes of the result, and go with the job")
    func store() async throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "jobs.sqlite")
        let store = try JobStore(file: file)
        var query = InfluenceQuery(prompt: "a", completion: "b")
        query.allScores = true
        let ids = [try await store.add([query], isList: false).id, try await store.add([query], isList: false).id]
        for id in ids {
            let outcomes = JobOutcomes(
                id: id, outcomes: [0: .result(Data("{}".utf8))], allScores: [0: FakeEngine.allScores], seconds: [:])
            try await store.record([outcomes])
        }
        let reopened = try JobStore(file: file)
        #expect(try await reopened.queries(of: ids[0]) == [query])
        #expect(try await reopened.candidateCount(of: ids[0], at: 0) == FakeEngine.scored)
        var found = CandidateScores()
        while let chunk = try await reopened.candidateScores(of: ids[0], at: 0, from: found.count) {
            #expect(chunk.count <= JobStore.candidatesPerChunk)
            for index in 0..<chunk.count {
                found.append(
                    rowid: chunk.rowids[index], score: chunk.scores[index], isRescored: chunk.isRescored[index])
            }
        }
        #expect(found == FakeEngine.allScores)
        let request = try jsonText([query]).utf8.count
        let bytes = request + 2 + 17 * FakeEngine.scored
        let old = Date(timeIntervalSince1970: 0)
        #expect(try await reopened.expire(keepCount: 10, keepBytes: 2 * bytes, endedBefore: old) == 0)
        #expect(try await reopened.expire(keepCount: 10, keepBytes: 2 * bytes - 1, endedBefore: old) == 1)
        let left = try await reopened.database.read {
            try Int.fetchOne($0, sql: "SELECT count(DISTINCT job) FROM candidate_scores")
        }
        #expect(left == 1)
    }
}
