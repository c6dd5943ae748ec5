import Attribution
import Foundation
import HTTP
import JSON
import Testing

@testable import InfluenceService

@Suite("Large responses", .timeLimit(.minutes(30)))
struct LargeResponseTests {
    private func bytes(of response: Response) async throws -> [UInt8] {
        switch response.body {
        case .bytes(let bytes): return bytes
        case .stream(let pieces):
            var all: [UInt8] = []
            for try await piece in pieces { all += piece }
            return all
        }
    }

    @Test("are counted until they are sent, and refused with when to come again where there are too many")
    func budget() async throws {
        let budget = ResponseBudget(limit: 200_000)
        let body = (0..<150_000).map { UInt8(truncatingIfNeeded: $0) }
        let large = Response(contentType: "text/plain", body: body)
        do {
            let first = try budget.counted(large)
            let problem = #expect(throws: Problem.self) { try budget.counted(large) }
            #expect(problem?.status == .serviceUnavailable && problem?.headers[.retryAfter] != nil)
            let small = try budget.counted(Response(contentType: "text/plain", body: [1, 2]))
            guard case .bytes = small.body else {
                Issue.record("a small response is counted")
                return
            }
            #expect(try await bytes(of: first) == body)
        }
        #expect(try await bytes(of: try budget.counted(large)) == body)
    }

    @Test("may be larger than all of them where there are no others")
    func alone() throws {
        let budget = ResponseBudget(limit: 10)
        let lease = try budget.lease(20)
        #expect(throws: Problem.self) { try budget.lease(1) }
        withExtendedLifetime(lease) {}
    }

    @Test("are made of parts that join to the whole document", arguments: ResultDocument.Format.allCases)
    func parts(format: ResultDocument.Format) throws {
        let queries = ["a", "b", "c"].map { InfluenceQuery(id: "\($0),1", prompt: $0, completion: "x") }
        var outcomes = try queries.map { QueryOutcome.result(try FakeEngine.result(for: $0, batchSize: 3).json()) }
        outcomes[1] = .failure(QueryFailure(kind: .failed, detail: "no, and\nno again"))
        for isList in [true, false] {
            let count = isList ? 3 : 1
            let whole = ResultDocument(
                isList: isList, queries: Array(queries.prefix(count)), outcomes: Array(outcomes.prefix(count)))
            let parts = try (0..<count).flatMap { index in
                try ResultDocument.part(
                    of: queries[index], outcomes[index], at: index, of: count, isList: isList, as: format)
            }
            #expect(try parts == whole.bytes(as: format))
        }
    }

    @Test("have the JSON that the encoder gives, though it is made in pieces")
    func json() throws {
        var query = InfluenceQuery(prompt: "\"sequences\":[]", completion: "\",\"sequences\":[]")
        var result = FakeEngine.result(for: query, batchSize: 1)
        let decoder = JSONDecoder()
        #expect(try decoder.decode(InfluenceResult.self, from: result.json()) == result)
        #expect(try String(decoding: result.json(), as: UTF8.self) == jsonText(result))
        result.sequences = []
        #expect(try String(decoding: result.json(), as: UTF8.self) == jsonText(result))
        query.candidates = CandidateSelection(texts: ["a", "b\"", "c"])
        result = FakeEngine.result(for: query, batchSize: 1)
        #expect(try String(decoding: result.json(), as: UTF8.self) == jsonText(result))
    }

    @Test("of a job are the same over HTTP as small ones, in each form", arguments: ResultDocument.Format.allCases)
    func results(format: ResultDocument.Format) async throws {
        try await TestServer.run { server in
            let prompts = (0..<60).map { "\($0)" + String(repeating: "p", count: 500) }
            let list =
                "[" + prompts.map { "{\"prompt\": \"\($0)\", \"completion\": \" b\"}" }.joined(separator: ",") + "]"
            let posted = try await server.client.post("/v1/influence", json: list)
            let path = try #require(posted.headers["location"])
            _ = try await server.job(path, until: "succeeded")
            let reply = try await server.client.get(path + "/result", headers: ["Accept": format.mediaType])
            #expect(reply.status == 200)
            let id = try #require(JobIdentifier(path.split(separator: "/").last ?? ""))
            #expect(try await server.service.store.resultSize(of: id)?.all ?? 0 > ResponseBudget.smallBytes)
            let whole = ResultDocument(
                isList: true, queries: try #require(await server.service.store.queries(of: id)),
                outcomes: try await server.service.store.outcomes(of: id))
            #expect(try Array(reply.data) == whole.bytes(as: format))
            #expect(reply.headers["etag"] != nil && reply.headers["content-length"] == nil)
        }
    }

    @Test("add up with all else to the memory that a server takes at most, each part by its limit")
    func bound() {
        let model = MemoryBound.Model(weights: 1, factors: 2, workers: 3, workspace: 4, gradient: 5)
        func bytes(_ change: (inout Configuration) -> Void) -> Int {
            var settings = Configuration()
            change(&settings)
            return MemoryBound(of: settings, model: model).bytes
        }
        let all = bytes { _ in }
        #expect(bytes { $0.jobs.maximumQueuedBytes += 1_000 } == all + 1_000)
        #expect(bytes { $0.jobs.maximumResponseBytesInFlight += 1_000 } == all + 1_000)
        #expect(bytes { $0.batching.maximumSweepBytes += 1_000 } == all + 1_250)
        #expect(bytes { $0.server.maximumBodyBytesInFlight += 1_000 } == all + 1_000)
        for change: (inout Configuration) -> Void in [
            { $0.server.maximumBodyBytes += 1_000 }, { $0.server.maximumConnections += 1 },
            { $0.ingestion.maximumBytes += 1_000 },
        ] {
            #expect(bytes(change) > all)
        }
    }
}
