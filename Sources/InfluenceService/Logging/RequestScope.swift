import Logging

/// The request that the current task answers: its id goes into every line of log that the task writes.
enum RequestScope {
    @TaskLocal static var identifier: String?

    /// Names the request in the lines of a logger.
    static let metadataProvider = Logger.MetadataProvider {
        identifier.map { ["request_id": "\($0)"] } ?? [:]
    }
}

extension Logger {
    /// The same logger, whose lines name the request that they are about.
    var namingRequests: Logger {
        var logger = self
        logger.handler.metadataProvider = RequestScope.metadataProvider
        return logger
    }
}
