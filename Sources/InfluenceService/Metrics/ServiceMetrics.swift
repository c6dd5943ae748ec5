import Attribution
import Foundation
import HTTP
import HTTPTypes

final class ServiceMetrics: Sendable {
    private let requests = Counter(
        "tributary_http_requests_total", "Requests answered, by the route that answered; \"none\" if no route did.",
        by: "method", "route", "status")
    private let durations = Histogram(
        "tributary_http_request_duration_seconds",
        "From a request's arrival to the end of its response. Event streams and Prefer: wait last as long as the client asks.",
        bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
        by: "method", "route")
    private let aborted = Counter(
        "tributary_http_aborted_total", "Requests whose connection ended before their response was complete.")
    private let received = Counter("tributary_http_received_bytes_total", "Bytes of requests.")
    private let sent = Counter("tributary_http_sent_bytes_total", "Bytes of responses.")
    private let opened = Counter("tributary_http_connections_opened_total", "Connections accepted.")
    private let closed = Counter("tributary_http_connections_closed_total", "Connections that have ended.")

    private let batches = Histogram(
        "tributary_batch_queries", "Queries that shared a sweep.",
        bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024])
    private let sweepDurations = Histogram(
        "tributary_sweep_duration_seconds", "From a sweep's start until its last result is on disk.",
        bounds: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600])
    private let stages = Counter(
        "tributary_stage_seconds_total", "Time that sweeps have spent in each stage.", by: "stage")
    private let queries = Counter(
        "tributary_queries_total", "Queries that have ended, by outcome.", by: "outcome")
    private let ingested = Counter(
        "tributary_ingested_records_total", "Records of uploads, by outcome.", by: "outcome")

    func sweepEnded(
        queries count: Int, seconds: Double, stages stageSeconds: [InfluenceProgress.Stage: Double],
        outcomes: some Sequence<QueryOutcome>
    ) {
        batches.record(Double(count))
        sweepDurations.record(seconds)
        for (stage, spent) in stageSeconds { stages.add(spent, stage.rawValue) }
        for outcome in outcomes {
            switch outcome {
            case .result: queries.add(1, "succeeded")
            case .failure(let failure): queries.add(1, failure.kind == .cancelled ? "cancelled" : "failed")
            }
        }
    }

    func ingested(_ summary: IngestionSummary) {
        ingested.add(Double(summary.added), "added")
        ingested.add(Double(summary.duplicates), "duplicate")
        ingested.add(Double(summary.empty), "empty")
        ingested.add(Double(summary.withoutLoss + summary.cutBeforeLoss), "without_loss")
    }

    var families: [MetricFamily] {
        [
            requests.family, durations.family, aborted.family, received.family, sent.family, opened.family,
            closed.family, batches.family, sweepDurations.family, stages.family, queries.family, ingested.family,
        ]
    }
}

extension ServiceMetrics: ConnectionObserving {
    func connectionOpened(from peer: SocketAddress) { opened.add() }

    func connectionClosed(_ report: ConnectionReport) { closed.add() }

    func requestFinished(_ report: RequestReport) {
        // A client can send any number of methods and paths that no route has, and each would be kept forever.
        let method = report.routePattern == nil ? "other" : report.method?.rawValue ?? "other"
        let route = report.routePattern ?? "none"
        requests.add(1, method, route, report.status.map { String($0.code) } ?? "none")
        durations.record(report.duration / .seconds(1), method, route)
        received.add(Double(report.bytesReceived))
        sent.add(Double(report.bytesSent))
        if report.outcome == .aborted { aborted.add() }
    }
}

/// The kernel's measurements of this process, under the names that Prometheus's own client libraries use.
enum ProcessMetrics {
    /// Measurements that cannot be read are left out.
    static func families() -> [MetricFamily] {
        let ticks = Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        let pageBytes = Double(sysconf(Int32(_SC_PAGESIZE)))
        let fields = statusFields()
        let cpuTicks = fields.value(14).flatMap { user in fields.value(15).map { user + $0 } }
        let start = fields.value(22).flatMap { start in bootTime().map { $0 + start / ticks } }
        // One of them is the folder that is being listed.
        let openFiles = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count - 1
        var limit = rlimit()
        let hasLimit = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        let measurements: [(name: String, help: String, value: Double?)] = [
            ("process_resident_memory_bytes", "Resident memory.", fields.value(24).map { $0 * pageBytes }),
            ("process_virtual_memory_bytes", "Virtual memory.", fields.value(23)),
            ("process_cpu_seconds_total", "CPU time of user and system.", cpuTicks.map { $0 / ticks }),
            ("process_threads", "Threads.", fields.value(20)),
            ("process_start_time_seconds", "When the process started, since 1970.", start),
            ("process_open_fds", "Open file descriptors.", openFiles.map { Double(max($0, 0)) }),
            (
                "process_max_fds", "The most file descriptors that can be open.",
                hasLimit ? Double(limit.rlim_cur) : nil
            ),
        ]
        return measurements.compactMap { name, help, value in
            value.map { name.hasSuffix("_total") ? .counter(name, help, value: $0) : .gauge(name, help, value: $0) }
        }
    }

    /// The fields of /proc/self/stat (proc(5)) from the third on; the manual numbers them from 1.
    private struct StatusFields {
        var texts: [Substring]

        func value(_ number: Int) -> Double? {
            texts.indices.contains(number - 3) ? Double(texts[number - 3]) : nil
        }
    }

    private static func statusFields() -> StatusFields {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            // The second field is the program's name in parentheses, which can contain any character.
            let end = text.lastIndex(of: ")")
        else { return StatusFields(texts: []) }
        return StatusFields(texts: text[text.index(after: end)...].split(separator: " "))
    }

    /// When the machine started, in seconds since 1970.
    private static func bootTime() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
    }
}
