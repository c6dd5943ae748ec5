import HTTP
import Logging

/// Logs each request that was answered, or whose connection ended before that.
///
/// The frequent requests of monitoring are logged at the level debug. A line has a request's path, but neither its query items nor its
/// body, which contain what users ask.
struct AccessLog: ConnectionObserving {
    private let logger: Logger

    private static let quietRoutes: Set = ["/healthz", "/readyz", "/metrics"]

    init(logger: Logger) { self.logger = logger }

    func requestFinished(_ report: RequestReport) {
        let level: Logger.Level = report.routePattern.map(Self.quietRoutes.contains) == true ? .debug : .info
        guard level >= logger.logLevel else { return }
        var metadata: Logger.Metadata = [
            "request_id": "\(report.identifier)",
            "remote_address": "\(report.remoteAddress)",
            "milliseconds": .stringConvertible(Double(Int(report.duration / .microseconds(1))) / 1_000),
            "received_bytes": .stringConvertible(report.bytesReceived),
            "sent_bytes": .stringConvertible(report.bytesSent),
            "outcome": "\(report.outcome.rawValue)",
        ]
        if let method = report.method { metadata["method"] = "\(method.rawValue)" }
        if let path = report.path { metadata["path"] = "\(path)" }
        if let route = report.routePattern { metadata["route"] = "\(route)" }
        if let status = report.status { metadata["status"] = .stringConvertible(status.code) }
        for (name, value) in report.annotations { metadata[name] = "\(value)" }
        logger.log(level: level, "request", metadata: metadata)
    }
}

/// The request that the current task answers: its id is in every line that the task logs.
enum RequestScope {
    @TaskLocal static var identifier: String?

    static let metadataProvider = Logger.MetadataProvider {
        identifier.map { ["request_id": "\($0)"] } ?? [:]
    }
}

extension Logger {
    var namingRequests: Logger {
        var logger = self
        logger.handler.metadataProvider = RequestScope.metadataProvider
        return logger
    }
}
