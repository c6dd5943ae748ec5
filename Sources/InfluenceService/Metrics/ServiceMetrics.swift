import Attribution
import HTTP
import HTTPTypes

/// What the service counts as it goes.
final class ServiceMetrics: Sendable {
    private let requests = Counter(
        "tributary_http_requests_total", "Requests answered, by the route that answered; \"none\" where none did.",
        by: "method", "route", "status")
    private let durations = Histogram(
        "tributary_http_request_duration_seconds",
        "From a request's arrival to the end of its response. Event streams and Prefer: wait take as long as they are asked to.",
        bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
        by: "method", "route")
    private let aborted = Counter(
        "tributary_http_aborted_total", "Requests whose connection ended before their response did.")
    private let received = Counter("tributary_http_received_bytes_total", "Bytes of requests.")
    private let sent = Counter("tributary_http_sent_bytes_total", "Bytes of responses.")
    private let opened = Counter("tributary_http_connections_opened_total", "Connections accepted.")
    private let closed = Counter("tributary_http_connections_closed_total", "Connections that have ended.")

    private let batches = Histogram(
        "tributary_batch_queries", "Queries that shared a sweep.",
        bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024])
    private let sweepDurations = Histogram(
        "tributary_sweep_duration_seconds", "From a sweep's start to the last result's being on disk.",
        bounds: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600])
    private let stages = Counter(
        "tributary_stage_seconds_total", "Time that sweeps have spent in each stage.", by: "stage")
    private let queries = Counter(
        "tributary_queries_total", "Queries that have ended, by what became of them.", by: "outcome")
    private let ingested = Counter(
        "tributary_ingested_records_total", "Records of uploads, by what became of them.", by: "outcome")

    /// Notes the end of a sweep.
    ///
    /// - Parameters:
    ///   - seconds: Of all of it, and of each stage.
    ///   - outcomes: Of its queries.
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

    /// Notes what an upload has added.
    func ingested(_ summary: IngestionSummary) {
        ingested.add(Double(summary.added), "added")
        ingested.add(Double(summary.duplicates), "duplicate")
        ingested.add(Double(summary.empty), "empty")
    }

    /// All that is counted here.
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
        // Methods and paths that no route knows are the client's to choose: each would be kept for ever.
        let method = report.routePattern == nil ? "other" : report.method?.rawValue ?? "other"
        let route = report.routePattern ?? "none"
        requests.add(1, method, route, report.status.map { String($0.code) } ?? "none")
        durations.record(report.duration / .seconds(1), method, route)
        received.add(Double(report.bytesReceived))
        sent.add(Double(report.bytesSent))
        if report.outcome == .aborted { aborted.add() }
    }
}
