import Attribution
import Glibc
import HTTP
import Limits
import Logging

/// The settings of a server.
///
/// The defaults are those of `config/tributary.yaml`, which explains each key. Values come from these defaults, a file
/// (``init(file:)``), the environment (``apply(environment:)``) and the command line (``set(_:to:)``); each of these overrides the ones
/// before it. ``ConfigurationSetting`` is the one list of keys that all of them share.
public struct Configuration: Sendable, Equatable {
    public var server = Server()
    public var authentication = Authentication()
    public var model = Model()
    public var workspace = Workspace()
    public var compute = Compute()
    public var batching = Batching()
    public var jobs = Jobs()
    public var query = Query()
    public var completions = Completions()
    public var ingestion = Ingestion()
    public var logging = Logging()

    public init() {}

    /// Where the server listens, and its limits.
    public struct Server: Sendable, Equatable {
        public var host = "127.0.0.1"
        /// 0 lets the system choose a free port.
        public var port = 8080
        /// The PEM file with the certificate chain; `nil` for plain HTTP.
        public var tlsCertificate: String?
        /// The PEM file with the certificate's key.
        public var tlsKey: String?
        public var tlsMinimumVersion = TLSConfiguration.Version.tls12
        /// Addresses and CIDR blocks of the reverse proxies whose X-Forwarded fields are trusted.
        public var trustedProxies: [AddressBlock] = []
        /// The host names that requests can be for, besides localhost and addresses.
        public var hostNames: [HostName] = []
        /// The origins whose pages can read responses, or "*".
        public var corsOrigins: [String] = []
        public var compression = Coding.gzip
        public var ioThreads = 2
        public var maximumConnections = 1_024
        /// 0 for no limit.
        public var maximumConnectionsPerAddress = 0
        /// Connections that wait in the kernel to be accepted.
        public var backlog = 1_024
        public var maximumTargetBytes = 8_192
        public var maximumHeaderFields = 100
        public var maximumHeaderBytes = 16_384
        public var maximumBodyBytes = 4_194_304
        /// The limit of all running requests together.
        public var maximumBodyBytesInFlight = 268_435_456
        public var headerTimeoutSeconds = 10.0
        public var bodyTimeoutSeconds = 30.0
        public var minimumBodyBytesPerSecond = 1_024
        public var idleTimeoutSeconds = 60.0
        public var writeTimeoutSeconds = 30.0
        public var shutdownGraceSeconds = 30.0
        /// How long a stopping server still answers new requests while /readyz says that it is draining.
        public var drainSeconds = 0.0

        public enum Coding: String, Sendable, CaseIterable { case gzip, none }
    }

    /// Who is allowed to send requests.
    public struct Authentication: Sendable, Equatable {
        public var required = Requirement.auto
        /// `nil` for tokens.json in the workspace.
        public var tokensFile: String?

        public enum Requirement: String, Sendable, CaseIterable {
            /// On every address except the loopback ones.
            case auto
            case always, never
        }
    }

    public struct Model: Sendable, Equatable {
        /// A checkpoint folder; `nil` for the embedded model.
        public var path: String?
        /// The folder of a LoRA adapter that is applied to the model.
        public var adapter: String?
    }

    public struct Workspace: Sendable, Equatable {
        /// `nil` for a folder under the user's data folder that is named after the model.
        public var path: String?
    }

    public struct Compute: Sendable, Equatable {
        /// Threads that compute; 0 for one per core.
        public var workers = 0
        /// Their niceness, nice(2), with which they yield to the threads that answer requests.
        public var niceness = 10
        public var precision = SweepPrecision.float32
    }

    /// How queries are gathered into sweeps.
    public struct Batching: Sendable, Equatable {
        /// How long a sweep waits for more queries after the first one's arrival.
        public var windowMilliseconds = 50
        public var maximumQueries = 64
        /// The most scores of a sweep: queries times candidates.
        public var maximumScores = 20_000_000
        /// The most memory of a sweep, in bytes: scores, gradients and results.
        public var maximumSweepBytes = 4_294_967_296
        /// How often a running sweep's scores are written to disk.
        public var checkpointSeconds = 5.0
    }

    /// Which jobs are accepted and how long they are kept.
    public struct Jobs: Sendable, Equatable {
        /// The most queries in one request.
        public var maximumQueriesPerRequest = 1_000
        /// The most queries that wait or run, in all jobs together.
        public var maximumQueuedQueries = 10_000
        /// The range of that limit, and of a token's own.
        public static let queuedQueriesLimit = 1...10_000_000
        /// The most memory of those queries with all their texts, in bytes.
        public var maximumQueuedBytes = 134_217_728
        /// The longest wait that `Prefer: wait` gets.
        public var maximumWaitSeconds = 300.0
        /// The most bytes of large responses that are being made or sent.
        public var maximumResponseBytesInFlight = 268_435_456
        /// How many times a job is started if the process dies each time while the job runs.
        public var maximumAttempts = 3
        /// How many finished jobs are kept.
        public var keepCount = 10_000
        /// How long a finished job is kept.
        public var keepDays = 30.0
        /// How many bytes of finished jobs' results and requests are kept, as JSON.
        public var keepResultBytes = 10_737_418_240
    }

    /// The defaults of a query, and how many ad-hoc texts it can have.
    public struct Query: Sendable, Equatable {
        public var topK = 20
        public var candidateLimit = 1_000
        public var rank = 32
        public var rescore = 100
        public var maximumTexts = 100
        /// The length of each text in UTF-8.
        public var maximumTextBytes = 65_536
    }

    /// How long POST /v1/completions computes, and for how many requests at a time.
    public struct Completions: Sendable, Equatable {
        /// The time of one completion, from the beginning of its turn.
        public var maximumSeconds = 60.0
        /// The longest wait for a turn.
        public var maximumWaitSeconds = 10.0
        public var concurrent = 2
    }

    /// How much POST /v1/sequences accepts at a time.
    public struct Ingestion: Sendable, Equatable {
        public var maximumRecords = 10_000
        /// The decompressed length.
        public var maximumBytes = 67_108_864
    }

    public struct Logging: Sendable, Equatable {
        public var level = Logger.Level.info
        public var format = Format.text
        /// Whether prompts and completions are logged.
        public var queries = false

        public enum Format: String, Sendable, CaseIterable { case text, json }
    }
}

extension Configuration.Server {
    /// Whether only this machine can reach the address.
    var isLoopback: Bool {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 {
            let words = six.__in6_u.__u6_addr32
            return words.0 == 0 && words.1 == 0 && words.2 == 0 && UInt32(bigEndian: words.3) == 1
        }
        return host.lowercased() == "localhost"
    }

    /// - Throws: ``ConfigurationError`` if the certificate or the key is set without the other.
    var tls: TLSConfiguration? {
        get throws(ConfigurationError) {
            switch (tlsCertificate, tlsKey) {
            case (nil, nil): return nil
            case (let certificate?, let key?):
                return TLSConfiguration(certificateFile: certificate, keyFile: key, minimumVersion: tlsMinimumVersion)
            case (nil, _?), (_?, nil):
                let (missing, other) = tlsKey == nil ? ("tls_key", "tls_certificate") : ("tls_certificate", "tls_key")
                throw .wrongValue(
                    key: "server.\(missing)", origin: .caller, expected: "a path if server.\(other) is set",
                    found: "null")
            }
        }
    }

    /// The middleware, the outermost first. Cross-origin permission is the outermost, so that it covers every response.
    var middleware: [any Middleware] {
        [CrossOrigin(origins: corsOrigins)] + (compression == .gzip ? [Compression()] : [])
    }
}

extension HTTPServerConfiguration {
    /// - Throws: ``ConfigurationError`` for settings that contradict each other.
    init(_ settings: Configuration.Server) throws(ConfigurationError) {
        self.init(host: settings.host, port: UInt16(clamping: settings.port))
        threads = settings.ioThreads
        maximumConnections = settings.maximumConnections
        maximumConnectionsPerAddress = settings.maximumConnectionsPerAddress
        backlog = settings.backlog
        trustedProxies = TrustedProxies(settings.trustedProxies)
        hostNames = settings.hostNames
        tls = try settings.tls
        limits = RequestLimits(
            targetBytes: settings.maximumTargetBytes, headerBytes: settings.maximumHeaderBytes,
            headerCount: settings.maximumHeaderFields, bodyBytes: settings.maximumBodyBytes)
        maximumBodyBytesInFlight = settings.maximumBodyBytesInFlight
        timeouts.header = .seconds(settings.headerTimeoutSeconds)
        timeouts.body = .seconds(settings.bodyTimeoutSeconds)
        timeouts.minimumBodyRate = settings.minimumBodyBytesPerSecond
        timeouts.idle = .seconds(settings.idleTimeoutSeconds)
        timeouts.write = .seconds(settings.writeTimeoutSeconds)
    }
}

// The limits that the configuration sets to requests.
extension Configuration.Jobs {
    var queriesPerRequest: ListLimit<InfluenceQuery> { ListLimit(1...max(maximumQueriesPerRequest, 1), of: "queries") }
}

extension Configuration.Query {
    var texts: ListLimit<String> { ListLimit(1...max(maximumTexts, 1), of: "texts") }
    var text: TextLimit { TextLimit(bytes: 1...max(maximumTextBytes, 1)) }
}
