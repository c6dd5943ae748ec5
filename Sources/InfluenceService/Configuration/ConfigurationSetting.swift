import Attribution
import Foundation
import HTTP
import Limits
import LinearAlgebra
import Logging

/// One key of the configuration: its name, what it accepts, and the property it sets.
///
/// The file, the environment and the command line all use ``all``, so that they know the same keys.
public struct ConfigurationSetting: Sendable {
    /// Section and name as in the file, "server.port".
    public let key: String
    /// The accepted values, in words that complete "must be".
    public let expected: String
    /// Whether the text of a scalar is used as it is even if it looks like a number.
    let isText: Bool
    /// Whether the value can be a YAML list in a file. As one text, its elements are separated by commas.
    let isList: Bool

    /// Sets the value from its text; `nil` is YAML's null. False if the text is not accepted: the configuration is then unchanged.
    let set: @Sendable (inout Configuration, String?) -> Bool
    private let read: @Sendable (Configuration) -> String?

    /// The value's text as in a file; `nil` for null.
    public func value(in configuration: Configuration) -> String? { read(configuration) }

    /// Every key, in the order of config/tributary.yaml.
    public static let all: [ConfigurationSetting] = [
        text("server.host", \.server.host, expected: "an address or host name to listen on"),
        integer("server.port", \.server.port, in: 0...65_535),
        path("server.tls_certificate", \.server.tlsCertificate),
        path("server.tls_key", \.server.tlsKey),
        choice("server.tls_minimum_version", \.server.tlsMinimumVersion, TLSConfiguration.Version.allCases),
        list(
            "server.trusted_proxies", \.server.trustedProxies,
            expected: "a list of addresses and blocks such as 10.0.0.0/8",
            AddressBlock.init, text: \.description),
        list(
            "server.host_names", \.server.hostNames,
            expected: "a list of names such as tributary.example, without ports",
            HostName.init, text: \.description),
        list(
            "server.cors_origins", \.server.corsOrigins,
            expected: "a list of origins such as https://notebook.example, or \"*\"",
            { CrossOrigin.isOrigin($0) ? $0 : nil }, text: \.self),
        choice("server.compression", \.server.compression, Configuration.Server.Coding.allCases),
        integer("server.io_threads", \.server.ioThreads, in: 1...64),
        integer("server.maximum_connections", \.server.maximumConnections, in: 1...1_000_000),
        integer(
            "server.maximum_connections_per_address", \.server.maximumConnectionsPerAddress, in: 0...1_000_000),
        integer("server.backlog", \.server.backlog, in: 1...65_535),
        // RFC 9110 section 4.1 asks for 8,000 at least, and the longest ids of sequences need most of them.
        integer("server.maximum_target_bytes", \.server.maximumTargetBytes, in: 8_000...65_536),
        integer("server.maximum_header_fields", \.server.maximumHeaderFields, in: 8...10_000),
        integer("server.maximum_header_bytes", \.server.maximumHeaderBytes, in: 1_024...1_048_576),
        integer("server.maximum_body_bytes", \.server.maximumBodyBytes, in: 1_024...1_073_741_824),
        integer(
            "server.maximum_body_bytes_in_flight", \.server.maximumBodyBytesInFlight, in: 1_024...1_099_511_627_776),
        number("server.header_timeout_seconds", \.server.headerTimeoutSeconds, in: 0.001...86_400),
        number("server.body_timeout_seconds", \.server.bodyTimeoutSeconds, in: 0.001...86_400),
        integer(
            "server.minimum_body_bytes_per_second", \.server.minimumBodyBytesPerSecond, in: 1...1_073_741_824),
        number("server.idle_timeout_seconds", \.server.idleTimeoutSeconds, in: 0.001...86_400),
        number("server.write_timeout_seconds", \.server.writeTimeoutSeconds, in: 0.001...86_400),
        number("server.shutdown_grace_seconds", \.server.shutdownGraceSeconds, in: 0...86_400),
        number("server.drain_seconds", \.server.drainSeconds, in: 0...3_600),
        choice(
            "authentication.required", \.authentication.required, Configuration.Authentication.Requirement.allCases),
        path("authentication.tokens_file", \.authentication.tokensFile),
        path("model.path", \.model.path),
        path("model.adapter", \.model.adapter),
        path("workspace.path", \.workspace.path),
        integer("compute.workers", \.compute.workers, in: 0...Workers.limit.upperBound),
        integer("compute.niceness", \.compute.niceness, in: 0...19),
        choice("compute.precision", \.compute.precision, SweepPrecision.allCases),
        integer("batching.window_milliseconds", \.batching.windowMilliseconds, in: 0...60_000),
        integer("batching.maximum_queries", \.batching.maximumQueries, in: 1...100_000),
        integer("batching.maximum_scores", \.batching.maximumScores, in: 1...1_000_000_000_000),
        integer(
            "batching.maximum_sweep_bytes", \.batching.maximumSweepBytes, in: 1_048_576...1_099_511_627_776_000),
        number("batching.checkpoint_seconds", \.batching.checkpointSeconds, in: 0.001...86_400),
        integer("jobs.maximum_queries_per_request", \.jobs.maximumQueriesPerRequest, in: 1...100_000),
        integer("jobs.maximum_queued_queries", \.jobs.maximumQueuedQueries, in: Configuration.Jobs.queuedQueriesLimit),
        integer("jobs.maximum_queued_bytes", \.jobs.maximumQueuedBytes, in: 65_536...1_099_511_627_776),
        number("jobs.maximum_wait_seconds", \.jobs.maximumWaitSeconds, in: 0...86_400),
        integer(
            "jobs.maximum_response_bytes_in_flight", \.jobs.maximumResponseBytesInFlight,
            in: 1_048_576...1_099_511_627_776),
        integer("jobs.maximum_attempts", \.jobs.maximumAttempts, in: 1...1_000),
        integer("jobs.keep_count", \.jobs.keepCount, in: 1...1_000_000_000),
        number("jobs.keep_days", \.jobs.keepDays, in: 0.001...36_500, "a number of days"),
        integer("jobs.keep_result_bytes", \.jobs.keepResultBytes, in: 1...1_000_000_000_000_000),
        integer("query.top_k", \.query.topK, in: InfluenceQuery.Limits.topK),
        integer("query.candidate_limit", \.query.candidateLimit, in: InfluenceQuery.Limits.candidates),
        integer("query.rank", \.query.rank, in: InfluenceQuery.Limits.rank),
        integer("query.rescore", \.query.rescore, in: InfluenceQuery.Limits.rescore),
        integer("query.maximum_texts", \.query.maximumTexts, in: InfluenceQuery.Limits.texts.count),
        integer(
            "query.maximum_text_bytes", \.query.maximumTextBytes, in: InfluenceQuery.Limits.adHocText.bytes),
        number("completions.maximum_seconds", \.completions.maximumSeconds, in: 0.001...86_400),
        number("completions.maximum_wait_seconds", \.completions.maximumWaitSeconds, in: 0...3_600),
        integer("completions.concurrent", \.completions.concurrent, in: 1...256),
        integer("ingestion.maximum_records", \.ingestion.maximumRecords, in: SequenceUpload.Limits.records),
        integer("ingestion.maximum_bytes", \.ingestion.maximumBytes, in: SequenceUpload.Limits.bytes),
        choice("logging.level", \.logging.level, Logger.Level.allCases),
        choice("logging.format", \.logging.format, Configuration.Logging.Format.allCases),
        flag("logging.queries", \.logging.queries),
    ]

    public static func named(_ key: String) -> ConfigurationSetting? { all.first { $0.key == key } }
}

// The kinds of values.
extension ConfigurationSetting {
    private typealias Property<Value> = WritableKeyPath<Configuration, Value> & Sendable

    /// `parse` reads the text of a value, nil for text that is not accepted; `text` is its inverse.
    private init<Value>(
        _ key: String, _ property: Property<Value>, expected: String, isText: Bool, isList: Bool = false,
        parse: @escaping @Sendable (String?) -> Value?, text: @escaping @Sendable (Value) -> String?
    ) {
        self.init(key: key, expected: expected, isText: isText, isList: isList) { configuration, text in
            guard let value = parse(text) else { return false }
            configuration[keyPath: property] = value
            return true
        } read: {
            text($0[keyPath: property])
        }
    }

    private static func text(_ key: String, _ property: Property<String>, expected: String) -> Self {
        Self(key, property, expected: expected, isText: true, parse: { $0?.isEmpty == true ? nil : $0 }, text: { $0 })
    }

    private static func path(_ key: String, _ property: Property<String?>) -> Self {
        Self(
            key, property, expected: "a path or null", isText: true, parse: { $0?.isEmpty == true ? nil : .some($0) },
            text: { $0 })
    }

    private static func list<Element: Sendable>(
        _ key: String, _ property: Property<[Element]>, expected: String,
        _ element: @escaping @Sendable (String) -> Element?, text elementText: KeyPath<Element, String> & Sendable
    ) -> Self {
        Self(
            key, property, expected: expected, isText: true, isList: true,
            parse: { text in
                let texts = (text ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
                let elements = texts.compactMap(element)
                return elements.count == texts.count ? elements : nil
            },
            text: { $0.isEmpty ? nil : $0.map { $0[keyPath: elementText] }.joined(separator: ",") })
    }

    private static func integer(_ key: String, _ property: Property<Int>, in range: ClosedRange<Int>) -> Self {
        Self(
            key, property, expected: range.expected, isText: false,
            parse: { $0.flatMap { Int($0) }.flatMap { range.allows($0) ? $0 : nil } }, text: { String($0) })
    }

    private static func number(
        _ key: String, _ property: Property<Double>, in range: ClosedRange<Double>,
        _ meaning: String = "a number of seconds"
    ) -> Self {
        let limit = NumberLimit.from(range.lowerBound, to: range.upperBound, meaning)
        return Self(
            key, property, expected: limit.expected, isText: false,
            parse: { $0.flatMap { Double($0) }.flatMap { limit.allows($0) ? $0 : nil } }, text: { String($0) })
    }

    private static func flag(_ key: String, _ property: Property<Bool>) -> Self {
        Self(
            key, property, expected: "true or false", isText: false, parse: { $0.flatMap { Bool($0) } },
            text: { String($0) })
    }

    private static func choice<Choice: RawRepresentable<String> & Sendable>(
        _ key: String, _ property: Property<Choice>, _ choices: [Choice]
    ) -> Self {
        Self(
            key, property, expected: "one of " + choices.map(\.rawValue).joined(separator: ", "), isText: true,
            parse: { $0.flatMap(Choice.init(rawValue:)) }, text: { $0.rawValue })
    }
}
