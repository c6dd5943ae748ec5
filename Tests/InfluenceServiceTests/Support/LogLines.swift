import Logging
import Synchronization

@testable import InfluenceService

/// Keeps what is logged.
final class LogLines: Sendable {
    private let storage = Mutex<[String]>([])

    var all: [String] { storage.withLock { $0 } }

    func logger(format: Configuration.Logging.Format = .text, level: Logger.Level = .info) -> Logger {
        var settings = Configuration.Logging()
        settings.format = format
        settings.level = level
        return Logger(label: "test") { [settings] label in
            ServiceLogHandler(label: label, settings: settings) { line in self.storage.withLock { $0.append(line) } }
        }
    }
}
