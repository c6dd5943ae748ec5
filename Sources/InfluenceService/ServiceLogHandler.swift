import Foundation
import Logging

/// Writes the log to standard error, a line an event: for people, or as JSON for programs.
///
///     LoggingSystem.bootstrap { ServiceLogHandler(label: $0, settings: configuration.logging) }
///
///     2026-01-31T12:00:00.000Z info: sweep started batch=01J... queries=20
///     {"batch":"01J...","level":"info","logger":"tributary","message":"sweep started","queries":"20","time":"2026-..."}
public struct ServiceLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: Configuration.Logging.Format
    private let write: @Sendable (String) -> Void

    /// - Parameter write: Takes each line, with its end.
    public init(
        label: String, settings: Configuration.Logging,
        write: @escaping @Sendable (String) -> Void = { FileHandle.standardError.write(Data($0.utf8)) }
    ) {
        self.label = label
        logLevel = settings.level
        format = settings.format
        self.write = write
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var all = metadataProvider?.get() ?? [:]
        for source in [metadata, event.metadata ?? [:]] { all.merge(source) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        let time = Date().rfc3339
        switch format {
        case .text:
            let pairs = all.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.oneWord("\($0.value)"))" }
            write("\(time) \(event.level): \(Self.oneLine("\(event.message)"))\(pairs.joined())\n")
        case .json:
            var members = all.mapValues { "\($0)" }
            members["time"] = time
            members["level"] = "\(event.level)"
            members["logger"] = label
            members["message"] = "\(event.message)"
            // Encoding strings fails for none.
            write(((try? jsonText(members)) ?? "{}") + "\n")
        }
    }

    /// A value as it stands, or in quotes where it would not be one word.
    private static func oneWord(_ value: String) -> String {
        let isWord =
            !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0.value != 0x7F }
        return isWord ? value : (try? jsonText(value)) ?? "\"\""
    }

    /// Text in which a line break cannot pass for another event.
    private static func oneLine(_ text: String) -> String {
        text.unicodeScalars.contains { $0.value < 0x20 } ? oneWord(text) : text
    }
}
