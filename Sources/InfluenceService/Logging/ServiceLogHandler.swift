import Foundation
import JSON
import Logging

/// Writes the log to standard error, one line per event: for people, or as JSON for programs.
///
///     LoggingSystem.bootstrap { ServiceLogHandler(label: $0, settings: configuration.logging) }
///
///     2026-01-31T12:00:00.000Z info: sweep started batch_id=01J... queries=20
///     {"timestamp":"2026-...","level":"info","message":"sweep started","logger":"tributary","batch_id":"01J...","queries":20}
///
/// In JSON, `request_id` and `job_id` are the ids of the request and the job of an event; numbers are numbers if the event has them as
/// such.
public struct ServiceLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: Configuration.Logging.Format
    private let write: @Sendable (String) -> Void

    /// - Parameter write: Receives each line, with its line break.
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
        var all = event.metadata ?? [:]
        // The event's own values precede those of the logger.
        if !metadata.isEmpty { all.merge(metadata) { own, _ in own } }
        if let provided = metadataProvider?.get(), !provided.isEmpty { all.merge(provided) { own, _ in own } }
        if let error = event.error { all["error"] = "\(error)" }
        let pairs = all.sorted { Self.order($0.key) < Self.order($1.key) }
        let time = Date().rfc3339
        switch format {
        case .text:
            let words = pairs.map { " \($0.key)=\(Self.oneWord("\($0.value)"))" }
            write("\(time) \(event.level): \(Self.oneLine("\(event.message)"))\(words.joined())\n")
        case .json:
            let members: [JSONTree.Member] = [
                .init(name: "timestamp", value: .string(time)),
                .init(name: "level", value: .string("\(event.level)")),
                .init(name: "message", value: .string("\(event.message)")),
                .init(name: "logger", value: .string(label)),
            ]
            let names = Set(members.map(\.name))
            let more = pairs.filter { !names.contains($0.key) }.map {
                JSONTree.Member(name: $0.key, value: Self.tree($0.value))
            }
            write(JSONTree.object(members + more).text + "\n")
        }
    }

    /// The ids first, then by name.
    private static func order(_ key: String) -> (Int, String) {
        switch key {
        case "request_id": (0, key)
        case "job_id": (1, key)
        default: (2, key)
        }
    }

    private static func tree(_ value: Logger.MetadataValue) -> JSONTree {
        switch value {
        case .string(let text): return .string(text)
        case .stringConvertible(let number as Int): return .number(String(number))
        case .stringConvertible(let number as Double) where number.isFinite: return .number(String(number))
        case .stringConvertible(let flag as Bool): return .boolean(flag)
        case .stringConvertible(let value): return .string(value.description)
        case .array(let values): return .array(values.map(tree))
        case .dictionary(let values):
            return .object(values.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: tree($0.value)) })
        }
    }

    /// A value as it is, or in quotes if it is not one word.
    private static func oneWord(_ value: String) -> String {
        let isWord =
            !value.isEmpty && value.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && !isControl($0) }
        return isWord ? value : JSONTree.string(value).text
    }

    /// Text in which a line break cannot look like another event.
    private static func oneLine(_ text: String) -> String {
        text.unicodeScalars.contains(where: isControl) ? oneWord(text) : text
    }

    /// Whether a terminal could interpret the character. JSON escapes such characters.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }
}
