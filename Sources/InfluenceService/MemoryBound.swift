import Foundation

/// The resident memory that a server of a model stays under, whatever it is asked: the sum of what each limit of its configuration
/// allows and of what the model takes.
///
/// Each part is an upper bound of its own, so that a server seldom comes near the sum. Estimates by the average are in the sweep's part
/// alone, which takes texts of the corpus to be of average length.
public struct MemoryBound: Sendable, Encodable {
    public struct Part: Sendable, Encodable {
        /// For people.
        public let name: String
        public let bytes: Int
        /// Which limit it follows from.
        public let reason: String
    }

    public let parts: [Part]

    /// All parts together.
    public var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }

    enum CodingKeys: String, CodingKey { case bytes, parts }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(parts, forKey: .parts)
    }

    /// What a model takes in memory, in bytes.
    public struct Model: Sendable, Equatable {
        var weights: Int
        var factors: Int
        var workers: Int
        /// One worker's.
        var workspace: Int
        /// A gradient of all tracked layers.
        var gradient: Int
        /// The keys and values of a completion that fills the context.
        var completion: Int
        /// Of files that are read as memory, such as the gradient index: their pages count as resident.
        var mapped: Int

        public init(
            weights: Int, factors: Int, workers: Int, workspace: Int, gradient: Int, completion: Int = 0,
            mapped: Int = 0
        ) {
            (self.weights, self.factors, self.workers) = (weights, factors, workers)
            (self.workspace, self.gradient) = (workspace, gradient)
            (self.completion, self.mapped) = (completion, mapped)
        }
    }

    /// Adds up what a server takes.
    public init(of configuration: Configuration, model: Model) {
        let (server, jobs) = (configuration.server, configuration.jobs)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let policy = SweepPolicy()
        parts = [
            Part(
                name: "program", bytes: Self.program + Self.threadBytes * (model.workers + cores),
                reason: "code, libraries and their buffers, caches of the databases"),
            Part(name: "weights", bytes: model.weights, reason: "the model"),
            Part(name: "factors", bytes: model.factors, reason: "the model"),
            Part(name: "mapped files", bytes: model.mapped, reason: "the gradient index"),
            Part(
                name: "scratch",
                // A sweep and one that overtakes it; each may search for the inverse products of a query.
                bytes: 2 * model.workers * model.workspace
                    + 2 * (model.workers + Self.solverVectors) * model.gradient,
                reason: "workspaces of \(model.workers) workers for two sweeps"),
            Part(
                name: "completions",
                bytes: configuration.completions.concurrent * (model.workspace + model.completion),
                reason: "completions.concurrent, each with a workspace, keys and values"),
            Part(
                name: "sweeps",
                bytes: Int(Double(configuration.batching.maximumSweepBytes) * (1 + policy.overtakingPart)),
                reason: "batching.maximum_sweep_bytes, and a quarter for one that overtakes"),
            Part(name: "queue", bytes: jobs.maximumQueuedBytes, reason: "jobs.maximum_queued_bytes"),
            Part(
                name: "jobs that ended",
                bytes: JobBoard.endedLimit * (JobBoard.endedBytes + OpenJob.overhead), reason: "256 small ones"),
            Part(
                name: "request bodies",
                bytes: server.maximumBodyBytesInFlight + cores * Self.treeFactor * server.maximumBodyBytes,
                reason: "server.maximum_body_bytes_in_flight, and JSON of server.maximum_body_bytes for each core"),
            Part(
                name: "uploads", bytes: Self.uploadFactor * configuration.ingestion.maximumBytes,
                reason: "ingestion.maximum_bytes, one at a time"),
            Part(
                name: "responses", bytes: jobs.maximumResponseBytesInFlight,
                reason: "jobs.maximum_response_bytes_in_flight"),
            Part(
                name: "connections", bytes: server.maximumConnections * Self.connectionBytes,
                reason: "server.maximum_connections, with their buffers and small responses"),
        ]
    }

    /// Measured of a server with the embedded model, less what is counted elsewhere.
    private static let program = 96 << 20
    /// Stacks, the allocator's spare memory, and what libraries of linear algebra keep for a thread.
    private static let threadBytes = 24 << 20
    /// Vectors as long as a gradient that a search for an inverse product has, besides one a worker.
    private static let solverVectors = 8
    /// What a body takes as a tree of JSON values, at worst: an array of numbers of one digit.
    private static let treeFactor = 32
    /// What an upload takes as bytes, records and tokens.
    private static let uploadFactor = 4
    /// 64 KiB are read ahead, as many may be written, and a response of that size may wait.
    private static let connectionBytes = 3 * ResponseBudget.smallBytes
}
