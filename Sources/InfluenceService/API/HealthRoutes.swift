import Attribution
import Files
import Foundation
import HTTP
import HTTPTypes
import Synchronization

extension API {
    var healthOperations: [Operation] {
        [
            Operation(
                method: .get, pattern: "/healthz", id: "getHealth", tag: .service, scope: nil,
                summary: "Check that the server is alive",
                answers: [.json("The server is alive.", .health)], handler: getHealth),
            Operation(
                method: .get, pattern: "/readyz", id: "getReadiness", tag: .service, scope: nil,
                summary: "Check that queries are answered: 503 until the model is loaded, and when the server stops",
                answers: [
                    .json("Queries are answered.", .health),
                    .json(
                        "Queries are not answered yet, or no longer.", .health, status: .serviceUnavailable,
                        headers: [("Retry-After", .integer("When to ask again, in seconds.", from: 0))]),
                ], handler: getReadiness),
            Operation(
                method: .get, pattern: "/metrics", id: "getMetrics", tag: .service, scope: .read,
                summary: "Get measurements in the Prometheus text format",
                answers: [
                    Operation.Answer(
                        status: .ok,
                        content: .init(
                            description: "The text format, version 0.0.4.",
                            forms: [(PrometheusText.contentType, .string("Lines of text."))]))
                ], handler: getMetrics),
        ]
    }

    @Sendable private func getHealth(_ request: Request) async throws -> Response {
        try .json(encoding: Health(status: "alive"))
    }

    @Sendable private func getReadiness(_ request: Request) async throws -> Response {
        let health = Health(readiness.state)
        guard health.status != "ready" else { return try .json(encoding: health) }
        return try .json(encoding: health, status: .serviceUnavailable, headers: [.retryAfter: "2"])
    }

    @Sendable private func getMetrics(_ request: Request) async throws -> Response {
        let families = await measurements()
        return Response(
            contentType: PrometheusText.contentType, body: Array(PrometheusText.text(families).utf8),
            headers: [.cacheControl: "no-store"])
    }
}

struct Health: Encodable, Equatable {
    var status: String
    var stage: String?
    var reason: String?

    init(status: String) { self.status = status }

    init(_ state: Readiness.State) {
        status = state.name
        switch state {
        case .starting(let stage): self.stage = stage
        case .failed(let reason): self.reason = reason
        case .ready, .stopping: break
        }
    }
}

extension Readiness.State {
    static let names = ["starting", "ready", "failed", "draining"]

    var name: String {
        switch self {
        case .starting: "starting"
        case .ready: "ready"
        case .failed: "failed"
        case .stopping: "draining"
        }
    }
}

final class Readiness: Sendable {
    enum State: Sendable {
        case starting(stage: String)
        case ready(any ServiceEngine)
        case failed(reason: String)
        case stopping
    }

    private let storage = Mutex(State.starting(stage: "starting"))

    var state: State { storage.withLock { $0 } }

    /// - Returns: `false` if the server was already stopping, and therefore keeps that state.
    @discardableResult
    func become(_ state: State) -> Bool {
        storage.withLock { current in
            if case .stopping = current { return false }
            current = state
            return true
        }
    }

    /// - Throws: A ``Problem`` with status 503 if there is none.
    func engine() throws(Problem) -> any ServiceEngine {
        switch state {
        case .ready(let engine): engine
        case .starting(let stage): throw .starting(stage: stage)
        case .failed(let reason): throw .startFailed(reason)
        case .stopping: throw .stopping
        }
    }
}

extension API {
    /// All measurements: the counters, and gauges that are read now. Those that cannot be read are left out.
    func measurements() async -> [MetricFamily] {
        var families = metrics.families
        families.append(
            MetricFamily(
                name: "tributary_build_info", help: "Always 1; the label has the version.", kind: .gauge,
                samples: [.init(labels: [.init(name: "version", value: WritingProgram.version)], value: 1)]))
        let state = readiness.state
        families.append(
            .gauge(
                "tributary_state", "1 for the state that /readyz reports, 0 for the others.", by: "state",
                values: Readiness.State.names.map { (label: $0, value: $0 == state.name ? 1 : 0) }))
        families += await queueFamilies()
        if case .ready(let engine) = state,
            let measurements = try? await lookups.run({ try engine.measurements() })
        {
            families += engineFamilies(measurements)
        }
        families.append(workspaceFamily())
        return families + ProcessMetrics.families()
    }

    private func queueFamilies() async -> [MetricFamily] {
        let load = await runner.load
        var families: [MetricFamily] = [
            .gauge("tributary_queue_queries", "Queries that wait for a sweep.", value: Double(load.waitingQueries)),
            .gauge(
                "tributary_queue_limit_queries", "The most queries that can wait and run.", value: Double(load.limit)),
            .gauge("tributary_queue_bytes", "Memory of the queries that wait and run.", value: Double(load.bytes)),
            .gauge(
                "tributary_queue_limit_bytes", "The most memory of the queries that wait and run.",
                value: Double(load.byteLimit)),
            .gauge("tributary_running_queries", "Queries of running sweeps.", value: Double(load.runningQueries)),
        ]
        if let counts = try? await store.jobCounts() {
            families.append(
                .gauge(
                    "tributary_jobs", "Jobs in the store, by status.", by: "status",
                    values: Job.Status.allCases.map { (label: $0.rawValue, value: Double(counts[$0] ?? 0)) }))
        }
        return families
    }

    private func engineFamilies(_ measurements: EngineMeasurements) -> [MetricFamily] {
        [
            .counter(
                "tributary_sweep_sequences_total",
                "Sequences scored; their rate is the speed of sweeps. A sequence that is scored again counts again.",
                value: Double(measurements.sweptSequences)),
            .counter(
                "tributary_sweep_tokens_total", "Tokens of the scored sequences.",
                value: Double(measurements.sweptTokens)),
            .gauge("tributary_factor_bytes", "Memory of the factors.", value: Double(measurements.factorBytes)),
            .gauge(
                "tributary_corpus_documents", "Documents of the corpus.", value: Double(measurements.corpus.documents)),
            .gauge(
                "tributary_corpus_sequences", "Sequences of the corpus.", value: Double(measurements.corpus.sequences)),
            .gauge("tributary_corpus_tokens", "Tokens of the corpus.", value: Double(measurements.corpus.tokens)),
        ]
    }

    /// The disk space of the workspace: the databases with their logs, the factors, and all other files.
    private func workspaceFamily() -> MetricFamily {
        let files = FileManager.default.enumerator(
            at: workspace, includingPropertiesForKeys: [.totalFileAllocatedSizeKey, .fileSizeKey])
        var bytes: [String: Int] = [:]
        while let file = files?.nextObject() as? URL {
            let size = (try? FileManager.default.attributesOfItem(atPath: file.path))?[.size] as? NSNumber
            bytes[Self.part(of: file, in: workspace), default: 0] += size?.intValue ?? 0
        }
        return .gauge(
            "tributary_workspace_bytes", "Disk space of the workspace.", by: "part",
            values: ["corpus", "jobs", "factors", "other"].map { (label: $0, value: Double(bytes[$0] ?? 0)) })
    }

    private static func part(of file: URL, in workspace: URL) -> String {
        let depth = workspace.standardizedFileURL.pathComponents.count
        let parts = file.standardizedFileURL.pathComponents
        let name = parts.indices.contains(depth) ? parts[depth] : ""
        return ["corpus", "jobs", "factors"].first { name.hasPrefix($0) } ?? "other"
    }
}
