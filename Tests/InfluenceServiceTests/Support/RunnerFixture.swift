import Attribution
import Foundation

@testable import InfluenceService

/// A runner on a workspace, as a process would have it.
final class RunnerFixture: Sendable {
    let store: JobStore
    let runner: QueryRunner
    let log = LogLines()

    init(
        in folder: TemporaryFolder, freedMemory: FreedMemory? = nil,
        _ configure: (inout Configuration) -> Void = { _ in }
    ) throws {
        var configuration = Configuration()
        configuration.batching.windowMilliseconds = 0
        configuration.batching.checkpointSeconds = 0
        configure(&configuration)
        store = try JobStore(file: folder.url.appending(path: Service.jobsFileName))
        runner = QueryRunner(
            store: store, batching: configuration.batching, jobs: configuration.jobs,
            observers: .init(logger: log.logger(), freedMemory: freedMemory),
            checkpointFolder: Self.checkpoints(in: folder),
            intervals: .init(progress: .milliseconds(1), retry: .milliseconds(10)))
    }

    static func checkpoints(in folder: TemporaryFolder) -> URL {
        folder.url.appending(path: Service.checkpointFolderName)
    }

    /// Asks about the whole corpus.
    func large(_ prompt: String) async throws -> JobIdentifier {
        try await submit(
            InfluenceQuery(prompt: prompt, completion: "x", candidates: CandidateSelection(prefilter: .all)))
    }

    /// Asks about ten sequences.
    func small(_ prompt: String) async throws -> JobIdentifier {
        try await submit(
            InfluenceQuery(
                prompt: prompt, completion: "x", candidates: CandidateSelection(limit: 10), rescore: 0))
    }

    func submit(_ queries: InfluenceQuery...) async throws -> JobIdentifier {
        try await runner.submit(queries, isList: queries.count > 1).job.id
    }

    func wait(for status: Job.Status, of id: JobIdentifier) async throws {
        while try await store.job(id)?.status != status { try await Task.sleep(for: .milliseconds(1)) }
    }
}

extension JobStore {
    /// Writes a new job without an idempotency key.
    func add(
        _ queries: [InfluenceQuery], isList: Bool, id: JobIdentifier = JobIdentifier(), at date: Date = Date()
    ) async throws -> Job {
        try await add(queries, isList: isList, id: id, key: nil, at: date).job
    }
}
