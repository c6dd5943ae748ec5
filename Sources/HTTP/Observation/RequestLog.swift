import Logging

/// Writes a line of log for each request.
public struct RequestLog: ConnectionObserving {
    private let logger: Logger
    private let level: Logger.Level

    public init(logger: Logger, level: Logger.Level = .info) {
        self.logger = logger
        self.level = level
    }

    public func requestFinished(_ report: RequestReport) {
        guard level >= logger.logLevel else { return }
        var metadata: Logger.Metadata = [
            "request": "\(report.identifier)",
            "peer": "\(report.remoteAddress)",
            "method": "\(report.method?.rawValue ?? "-")",
            "path": "\(report.path ?? "-")",
            "status": "\(report.status?.code ?? 0)",
            "bytes": "\(report.bytesSent)",
            "received": "\(report.bytesReceived)",
            "milliseconds": "\(report.duration / .milliseconds(1))",
            "outcome": "\(report.outcome.rawValue)",
        ]
        for (name, value) in report.annotations { metadata[name] = "\(value)" }
        logger.log(level: level, "request", metadata: metadata)
    }
}
