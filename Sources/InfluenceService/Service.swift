import Attribution
import Files
import Foundation
import HTTP
import Logging

/// The server as a whole: jobs, sweeps and HTTP.
///
///     let service = try Service(configuration: configuration, workspace: folder, logger: logger)
///     let addresses = try await service.start()        // answers /healthz and /readyz, and shows earlier jobs
///     try await service.become(ready: engine)          // answers queries, first those that were left unfinished
///     await service.shutdown(grace: .seconds(30))
///
/// The caller holds the workspace's lock. Log lines name jobs by id and never contain the text of a query.
public final class Service: Sendable {
    /// The job database's name in the workspace.
    public static let jobsFileName = "jobs.sqlite"

    public static let version = WritingProgram.version

    /// The name of the folder in the workspace from which unfinished sweeps are resumed.
    public static let checkpointFolderName = "checkpoints"

    let store: JobStore
    private let runner: QueryRunner
    private let readiness = Readiness()
    private let server: HTTPServer
    private let drain: Duration
    private let memoryWatch: Task<Void, Never>
    private let logger: Logger

    /// - Throws: ``JobStoreError`` if the workspace's jobs cannot be opened, ``ConfigurationError``, ``TokenFileError``, or
    ///   ``AuthenticationError`` if tokens are needed and there are none.
    public init(configuration: Configuration, workspace: URL, logger: Logger) throws {
        let logger = logger.namingRequests
        self.logger = logger
        let settings = configuration.server
        drain = .seconds(settings.drainSeconds)
        let metrics = ServiceMetrics()
        FreedMemory.limit()
        let freedMemory = FreedMemory()
        store = try JobStore(file: workspace.appending(path: Self.jobsFileName))
        runner = QueryRunner(
            store: store, batching: configuration.batching, jobs: configuration.jobs,
            observers: .init(logger: logger, metrics: metrics, freedMemory: freedMemory),
            checkpointFolder: workspace.appending(path: Self.checkpointFolderName))
        let api = API(
            configuration: configuration, workspace: workspace, store: store, runner: runner, readiness: readiness,
            authenticator: try Authenticator(configuration, workspace: workspace, logger: logger), metrics: metrics,
            dashboard: Self.resource(Dashboard.installed, logger),
            client: Self.resource(PythonClient.installed, logger),
            logger: logger, responses: ResponseBudget(limit: configuration.jobs.maximumResponseBytesInFlight),
            completions: CompletionLane(configuration.completions))
        let router = try Router(routes: api.routes, logger: logger)
        server = HTTPServer(
            configuration: try HTTPServerConfiguration(settings), logger: logger,
            observers: [AccessLog(logger: logger), metrics, freedMemory],
            screen: router.screen(within: settings.middleware), handler: router.handler(within: settings.middleware))
        memoryWatch = Task { await freedMemory.watch(every: .seconds(3)) }
        if settings.isLoopback, !settings.trustedProxies.isEmpty, settings.hostNames.isEmpty {
            logger.warning(
                "a proxy that forwards a public name in Host is answered with 421: add the name to server.host_names")
        }
    }

    deinit { memoryWatch.cancel() }

    /// A resource of the package; a server without it still answers the API.
    private static func resource<Resource>(_ installed: () throws -> Resource, _ logger: Logger) -> Resource? {
        do {
            return try installed()
        } catch {
            logger.warning("not installed", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Starts to listen.
    ///
    /// - Returns: The addresses. If the configured port is 0, they have the port that the system chose.
    /// - Throws: ``HTTPServerError``.
    @discardableResult
    public func start() async throws -> [SocketAddress] { try await server.start() }

    /// Reads the TLS certificate and its key again, for new connections; does nothing without TLS. If they cannot be used, the log says
    /// why, and the server continues with the old ones.
    public func reloadCertificate() async {
        do {
            try await server.reloadCertificate()
        } catch {
            logger.error("the certificate was not reloaded", metadata: ["error": "\(error)"])
        }
    }

    /// Reports the present stage of the start at /readyz.
    public func note(starting stage: String) { readiness.become(.starting(stage: stage)) }

    /// Takes the engine, and starts to answer queries: first those that an earlier process left unfinished.
    ///
    /// - Throws: ``JobStoreError``.
    public func become(ready engine: any ServiceEngine) async throws {
        try await runner.start(engine)
        readiness.become(.ready(engine))
        logger.info("ready")
    }

    /// Reports that there will be no engine; jobs of earlier processes can still be read.
    public func fail(starting error: any Error) {
        readiness.become(.failed(reason: "\(error)"))
        logger.error("the engine did not start", metadata: ["error": "\(error)"])
    }

    /// Stops the server. It accepts no new queries from now on, and no new requests after the configured drain time. Running requests and
    /// the running sweep have `grace` to finish.
    ///
    /// Jobs that have not finished by then run again at the next start.
    public func shutdown(grace: Duration) async {
        let isFirst = readiness.become(.stopping)
        logger.info("stopping", metadata: ["grace": "\(grace)"])
        async let sweeps: Void = runner.stop(grace: grace / .seconds(1))
        // Load balancers should see at /readyz that the server is stopping before the port is closed.
        if isFirst { try? await Task.sleep(for: drain) }
        async let requests = server.shutdown(grace: grace)
        _ = await (sweeps, requests)
    }
}
