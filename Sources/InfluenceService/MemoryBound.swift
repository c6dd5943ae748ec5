import Foundation

/// An upper bound on a server's resident memory under any load: the memory that each limit of its configuration allows, plus the memory of
/// the model.
///
/// Each part is an upper bound of its own, so a server seldom comes near the sum. Only the sweep's part uses an average: it assumes texts
/// of the corpus's average length.
public struct MemoryBound: Sendable, Encodable {
    public struct Part: Sendable, Encodable {
        public let name: String
        public let bytes: Int
        /// The limit from which the part follows.
        public let reason: String
    }

    /// The sum of all parts.
    public let bytes: Int
    public let parts: [Part]

    /// The memory that a model takes, in bytes.
    public struct Model: Sendable, Equatable {
        var weights: Int
        var factors: Int
        var workers: Int
        /// The scratch memory of one worker.
        var workspace: Int
        /// A gradient of all tracked layers.
        var gradient: Int
        /// The keys and values of a completion that fills the context.
        var completion: Int
        /// Memory-mapped files: their pages count as resident.
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

    public init(of configuration: Configuration, model: Model) {
        let (server, jobs) = (configuration.server, configuration.jobs)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let policy = SchedulingPolicy()
        let parts: [Part] = [
            Part(
                name: "program", bytes: Self.program + Self.threadBytes * (model.workers + cores),
                reason: "code, libraries and their buffers, caches of the databases"),
            Part(name: "weights", bytes: model.weights, reason: "the model"),
            Part(name: "factors", bytes: model.factors, reason: "the model"),
            Part(name: "mapped files", bytes: model.mapped, reason: "the gradient index"),
            Part(
                name: "scratch",
                // A sweep and one that overtakes it; each can iterate for a query's inverse product.
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
        self.parts = parts
        bytes = parts.reduce(0) { $0 + $1.bytes }
    }

    /// Measured on a server with the embedded model, less the other parts.
    private static let program = 96 << 20
    /// A thread's stack, its spare memory in the allocator, and its buffers in the libraries of linear algebra.
    private static let threadBytes = 24 << 20
    /// How many vectors as long as a gradient an iteration for an inverse product needs, besides one per worker.
    private static let solverVectors = 8
    /// How many bytes one byte of a body takes as a tree of JSON values, at worst: in an array of one-digit numbers.
    private static let treeFactor = 32
    /// How many times its size an upload takes in memory: as bytes, records and tokens.
    private static let uploadFactor = 4
    /// 64 KiB each for bytes read ahead, for bytes being written, and for a response that waits.
    private static let connectionBytes = 3 * ResponseBudget.smallBytes
}
