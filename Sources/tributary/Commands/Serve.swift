import ArgumentParser
import Foundation
import InfluenceService
import LinearAlgebra
import Logging

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer influence queries over HTTP.",
        discussion: """
            The server listens at once, and answers queries as soon as the model and its factors are loaded: GET /readyz reports its \
            progress. Jobs are kept in the workspace, and jobs that a process left unfinished run again at the next start. Ctrl-C or \
            SIGTERM stops the server when the running sweep is done, or after server.shutdown_grace_seconds. SIGHUP makes it read its \
            TLS certificate and key again.

            Settings come from the file given by --config (config/tributary.yaml describes them all), from the environment \
            (TRIBUTARY__SERVER__PORT=9000), and from options. Options override the environment, which overrides the file.

              tributary serve --port 8080
              curl -s -H 'Prefer: wait=60' --json '{"prompt": "The Beatles were an English rock", "completion": " band"}' \\
                   http://127.0.0.1:8080/v1/influence
            """)

    @OptionGroup var location: WorkspaceOptions

    @Option(help: "A YAML file of settings.", completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Option(help: "The address or host name to listen on. (default: 127.0.0.1)")
    var host: String?

    @Option(help: "The port to listen on; 0 for any free port. (default: 8080)")
    var port: Int?

    @Option(
        name: .customLong("host-name"),
        help: ArgumentHelp(
            "A host name that the server answers for, besides localhost and addresses; can be repeated.",
            valueName: "name"))
    var hostNames: [String] = []

    @Option(help: "How many threads compute. (default: one per core)")
    var workers: Int?

    @Option(
        help:
            "The precision of a sweep's products: fp32, or bf16, which needs a processor that supports it. (default: fp32)"
    )
    var precision: String?

    @Flag(
        help: """
            If there are no factors, fit them on at most \(FitSettings.briefSequences) sequences. For the embedded model, this is \
            the default.
            """)
    var fit = false

    @Flag(
        help: """
            Accept requests without tokens on an address that other machines can reach. Anyone who reaches it can then ask questions \
            and add to the corpus.
            """)
    var insecure = false

    func validate() throws {
        for option in options {
            var settings = Configuration()
            do {
                try settings.set(option.key, to: option.value)
            } catch ConfigurationError.wrongValue(_, _, let expected, let found) {
                throw ValidationError("\(option.name): must be \(expected), but is \(found)")
            }
        }
    }

    func run() async throws {
        let interruption = Interruption()
        let settings = try settings()
        LoggingSystem.bootstrap { ServiceLogHandler(label: $0, settings: settings.logging) }
        let logger = Logger(label: "tributary")

        let workspace = try Workspace(
            of: ModelSource(path: settings.model.path, adapter: settings.model.adapter),
            folder: settings.workspace.path)
        logger.info("workspace", metadata: ["path": "\(workspace.folder.path)"])
        let manager = ServiceManager()
        let service = try Service(configuration: settings, workspace: workspace.folder, logger: logger)
        try await service.start()
        let hangUps = HangUps { await service.reloadCertificate() }
        defer { hangUps.stop() }

        let starting = ServerStart(
            workspace: workspace, service: service, manager: manager, logger: logger, fitting: fit,
            precision: settings.compute.precision,
            workers: Workers(
                count: settings.compute.workers == 0 ? Workers().count : settings.compute.workers,
                niceness: settings.compute.niceness),
            interruption: interruption)
        do {
            try await service.become(ready: try await starting.run())
            manager.notify(.ready)
        } catch {
            guard interruption.isRequested else {
                service.fail(starting: error)
                await service.shutdown(grace: .zero)
                throw error
            }
            logger.notice("interrupted", metadata: ["reason": "\(ErrorMessage(error))"])
        }
        await interruption.requested()
        manager.notify(.stopping)
        await service.shutdown(grace: .seconds(settings.server.shutdownGraceSeconds))
    }

    /// The defaults, overridden by the file, the environment and the options in this order.
    private func settings() throws -> Configuration {
        var settings = try config.map { try Configuration(file: URL(fileURLWithPath: $0)) } ?? Configuration()
        try settings.apply(environment: ProcessInfo.processInfo.environment)
        for option in options { try settings.set(option.key, to: option.value) }
        return settings
    }

    /// The given options that override a key of the configuration.
    private var options: [(name: String, key: String, value: String)] {
        [
            ("--host", "server.host", host), ("--port", "server.port", port.map(String.init)),
            ("--host-name", "server.host_names", hostNames.isEmpty ? nil : hostNames.joined(separator: ",")),
            ("--model", "model.path", location.model), ("--adapter", "model.adapter", location.adapter),
            ("--workspace", "workspace.path", location.workspace),
            ("--workers", "compute.workers", workers.map(String.init)),
            ("--precision", "compute.precision", precision),
            ("--insecure", "authentication.required", insecure ? "never" : nil),
        ].compactMap { name, key, value in value.map { (name, key, $0) } }
    }
}
