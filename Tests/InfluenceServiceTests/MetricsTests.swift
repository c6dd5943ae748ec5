import Foundation
import Testing

@testable import InfluenceService

@Suite("Measurements", .timeLimit(.minutes(30)))
struct MetricsTests {
    @Test("are written with their labels escaped and their numbers exact")
    func text() {
        let counter = Counter("a_total", "Of \\ and\nlines.", by: "x", "y")
        counter.add(1, "b", "q\"\\\n")
        counter.add(0.1, "a", "é")
        counter.add(0.2, "a", "é")
        #expect(
            PrometheusText.text([counter.family]) == """
                # HELP a_total Of \\\\ and\\nlines.
                # TYPE a_total counter
                a_total{x="a",y="é"} 0.30000000000000004
                a_total{x="b",y="q\\"\\\\\\n"} 1

                """)
        #expect(PrometheusText.text([Counter("b_total", "None.", by: "x").family]) == "")
        #expect(PrometheusText.text([Counter("b_total", "None.").family]).hasSuffix("\nb_total 0\n"))
        #expect(
            [1e300, -0.5, .infinity, .nan, 3e9].map(PrometheusText.number) == [
                "1e+300", "-0.5", "+Inf", "NaN", "3000000000",
            ])
    }

    @Test("of sizes are counted in buckets, each with those below it")
    func histogram() {
        let histogram = Histogram("h", "Sizes.", bounds: [1, 2.5], by: "x")
        for amount in [0.5, 1, 2, 9] { histogram.record(amount, "a") }
        #expect(
            PrometheusText.text([histogram.family]) == """
                # HELP h Sizes.
                # TYPE h histogram
                h_bucket{x="a",le="1"} 2
                h_bucket{x="a",le="2.5"} 3
                h_bucket{x="a",le="+Inf"} 4
                h_sum{x="a"} 12.5
                h_count{x="a"} 4

                """)
    }

    @Test("of many threads at once are all counted")
    func concurrency() async {
        let counter = Counter("c_total", "Calls.", by: "x")
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask { for _ in 0..<1_000 { counter.add(1, task % 2 == 0 ? "even" : "odd") } }
            }
        }
        #expect(counter.family.samples.map(\.value) == [4_000, 4_000])
    }

    /// The value of a line, or nil if it is not there.
    private func value(_ line: String, in text: String) -> Double? {
        text.split(separator: "\n").first { $0.hasPrefix(line + " ") }.flatMap { Double($0.dropFirst(line.count + 1)) }
    }

    /// Asks for the measurements until a line has a value: what is told of a request comes after its response.
    private func text(of server: TestServer, until line: String, is expected: Double) async throws -> String {
        while true {
            let reply = try await server.client.get("/metrics")
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            if value(line, in: reply.text) == expected { return reply.text }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test("of a server tell of its requests, jobs, sweeps and corpus")
    func server() async throws {
        try await TestServer.run { server in
            let path = try await server.post("a")
            _ = try await server.job(path, until: "succeeded")
            _ = try await server.job(try await server.post("b", completion: " broken"), until: "failed")
            _ = try await server.client.send(
                "POST", "/v1/sequences", headers: ["Content-Type": "application/x-ndjson"], body: Data("{}\n{}\n".utf8))
            _ = try await server.client.get("/v1/nothing?prompt=secret")
            let text = try await text(
                of: server,
                until: "tributary_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}", is: 1)
            let lines: [(String, Double)] = [
                ("tributary_http_requests_total{method=\"POST\",route=\"/v1/influence\",status=\"202\"}", 2),
                ("tributary_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/influence\"}", 2),
                ("tributary_batch_queries_sum", 2), ("tributary_batch_queries_count", 2),
                ("tributary_queries_total{outcome=\"succeeded\"}", 1),
                ("tributary_queries_total{outcome=\"failed\"}", 1),
                ("tributary_jobs{status=\"succeeded\"}", 1), ("tributary_jobs{status=\"queued\"}", 0),
                ("tributary_queue_queries", 0), ("tributary_queue_limit_queries", 10_000),
                ("tributary_ingested_records_total{outcome=\"added\"}", 2),
                ("tributary_sweep_sequences_total", 30), ("tributary_sweep_tokens_total", 900),
                ("tributary_factor_bytes", 640), ("tributary_corpus_sequences", 2_000),
                ("tributary_state{state=\"ready\"}", 1), ("tributary_state{state=\"draining\"}", 0),
                ("tributary_build_info{version=\"\(Service.version)\"}", 1),
            ]
            for (line, expected) in lines {
                #expect(value(line, in: text) == expected, "\(line)")
            }
            for line in [
                "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds", "process_max_fds",
                "process_cpu_seconds_total", "tributary_workspace_bytes{part=\"jobs\"}",
                "tributary_http_received_bytes_total", "tributary_http_sent_bytes_total",
                "tributary_stage_seconds_total{stage=\"sweep\"}",
            ] {
                #expect(value(line, in: text).map { $0 > 0 } == true, "\(line)")
            }
            let start = try #require(value("process_start_time_seconds", in: text))
            #expect(abs(Date().timeIntervalSince1970 - start) < 86_400)
            #expect(!text.contains("secret"))
        }
    }

    @Test("are in the documentation, all of them and no others")
    func documentation() async throws {
        let article = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(
                path: "Sources/InfluenceService/InfluenceService.docc/Monitoring.md")
        let rows = try String(contentsOf: article, encoding: .utf8).split(separator: "\n").filter {
            $0.hasPrefix("| `")
        }
        let documented = rows.flatMap { row in
            row.split(separator: "|")[0].matches(of: /`([a-z_]+)/).map { String($0.1) }
        }
        try await TestServer.run { server in
            _ = try await server.job(try await server.post("a"), until: "succeeded")
            _ = try await server.client.post("/v1/sequences", json: "{}")
            let text = try await text(of: server, until: "tributary_batch_queries_count", is: 1)
            let measured = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map {
                String($0.split(separator: " ")[2])
            }
            #expect(Set(measured).count == measured.count)
            #expect(documented.sorted() == measured.sorted())
        }
    }

    @Test("are there while the server starts, without an engine's")
    func starting() async throws {
        try await TestServer.run(isReady: false) { server in
            let text = try await server.client.get("/metrics").text
            #expect(value("tributary_state{state=\"starting\"}", in: text) == 1)
            #expect(value("tributary_factor_bytes", in: text) == nil)
        }
    }
}
