import Attribution
import Foundation
import GRDB
import Testing

@testable import InfluenceService

@Suite("A sweep during which the process died", .timeLimit(.minutes(30)))
struct ResumptionTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var checkpointFiles: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: RunnerFixture.checkpoints(in: folder).path)) ?? []
    }

    /// What a process leaves that dies while the sweep of these queries is at a step: nothing of it is told to stop.
    private func die(
        at step: Int, with prompts: [String], _ test: (RunnerFixture, [JobIdentifier]) async throws -> Void
    ) async throws {
        let process = try RunnerFixture(in: folder) {
            $0.batching.windowMilliseconds = 3_600_000
            $0.batching.maximumQueries = prompts.count
        }
        let engine = SteppingEngine()
        engine.stop(prompts[0], before: step)
        try await process.runner.start(engine)
        var ids: [JobIdentifier] = []
        for prompt in prompts { ids.append(try await process.large(prompt)) }
        try await engine.waitUntil(prompts[0], hasRun: step)
        try await test(process, ids)
        // The remains of the process are put away.
        await process.runner.stop(grace: 0)
    }

    @Test("is swept from the start where what it was made of cannot be read, and the log says so")
    func unreadableSweep() async throws {
        try await die(at: 30, with: ["a", "b"]) { _, ids in
            let later = try RunnerFixture(in: folder)
            try await later.store.database.write { try $0.execute(sql: "UPDATE sweep SET members = '[{'") }
            let engine = SteppingEngine()
            try await later.runner.start(engine)
            for id in ids { try await later.wait(for: .succeeded, of: id) }
            #expect(engine.ran("a") + engine.ran("b") >= 40)
            #expect(later.log.all.contains { $0.contains("error") && $0.contains("swept from the start") })
            await later.runner.stop(grace: 10)
            #expect(
                try await later.store.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sweep") } == 0)
        }
    }

    @Test("has its jobs fail by name where they cannot be read, and the others go on")
    func unreadableJobs() async throws {
        try await die(at: 30, with: ["a", "b", "c"]) { _, ids in
            let later = try RunnerFixture(in: folder)
            try await later.store.database.write { database in
                for (place, change) in ["timings = '{'", "request = '{'"].enumerated() {
                    try database.execute(
                        sql: "UPDATE job SET \(change) WHERE id = ?", arguments: [ids[place].description])
                }
            }
            try await later.runner.start(SteppingEngine())
            try await later.wait(for: .succeeded, of: ids[2])
            for id in ids[..<2] {
                let job = try #require(try await later.store.job(id))
                #expect(job.status == .failed && job.failedQueryCount == 1)
                #expect(job.failure?.detail.contains("cannot run it") == true)
                #expect(later.log.all.contains { $0.contains("error") && $0.contains("\(id)") })
            }
            #expect(try await later.store.jobs(limit: 10).jobs.count == 3)
            await later.runner.stop(grace: 10)
        }
    }

    @Test("is taken up in the same composition, with the steps that are left")
    func resumption() async throws {
        try await die(at: 30, with: ["a", "b"]) { _, ids in
            let later = try RunnerFixture(in: folder)
            let engine = SteppingEngine()
            // A job that came first in the meantime does not change the sweep.
            let other = try await later.store.add([InfluenceQuery(prompt: "c", completion: "x")], isList: false).id
            try await later.runner.start(engine)
            for id in ids + [other] { try await later.wait(for: .succeeded, of: id) }
            #expect(engine.log == ["a+b begins", "a+b ends", "c begins", "c ends"])
            #expect(engine.ran("a") == 10)
            #expect(later.log.all.contains { $0.contains("sweep resumed from its checkpoint") })
            await later.runner.stop(grace: 10)
            #expect(checkpointFiles.isEmpty)
            let sweeps = try await later.store.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sweep") }
            #expect(sweeps == 0)
        }
    }

    @Test("starts again, and says so, if what was kept is of something else")
    func foreign() async throws {
        try await die(at: 30, with: ["a"]) { process, ids in
            try await process.store.database.write { database in
                try database.execute(sql: "UPDATE job SET request = replace(request, '\"x\"', '\"y\"')")
            }
            let later = try RunnerFixture(in: folder)
            let engine = SteppingEngine()
            try await later.runner.start(engine)
            try await later.wait(for: .succeeded, of: ids[0])
            #expect(engine.ran("a") == engine.steps)
            #expect(later.log.all.contains { $0.contains("the sweep starts from scratch") })
            await later.runner.stop(grace: 10)
        }
    }

    @Test("goes on without a job of it that was cancelled")
    func cancelled() async throws {
        try await die(at: 30, with: ["a", "b"]) { _, ids in
            let later = try RunnerFixture(in: folder)
            _ = try await later.store.cancel(ids[0])
            let engine = SteppingEngine()
            try await later.runner.start(engine)
            try await later.wait(for: .succeeded, of: ids[1])
            #expect(engine.log == ["b begins", "b ends"])
            // The scores of both are kept side by side, and one of them is used.
            #expect(engine.ran("b") == 10)
            await later.runner.stop(grace: 10)
        }
    }

    @Test("counts as an attempt only if it came no further")
    func attempts() async throws {
        try await die(at: 10, with: ["a"]) { _, ids in
            var processes: [RunnerFixture] = []
            for (step, attempts) in [(20, 1), (30, 1), (30, 1), (30, 2)] {
                let later = try RunnerFixture(in: folder)
                processes.append(later)
                let engine = SteppingEngine()
                engine.stop("a", before: step)
                try await later.runner.start(engine)
                try await later.wait(for: .running, of: ids[0])
                #expect(try await later.store.job(ids[0])?.attempts == attempts)
                while try await later.store.snapshot(of: ids[0])?.progress?.done != step {
                    try await Task.sleep(for: .milliseconds(1))
                }
            }
            for process in processes { await process.runner.stop(grace: 0) }
        }
    }

    @Test("leaves no checkpoint behind that nobody will take up")
    func orphans() async throws {
        let checkpoints = RunnerFixture.checkpoints(in: folder)
        try FileManager.default.createDirectory(at: checkpoints, withIntermediateDirectories: true)
        try Data("x".utf8).write(to: checkpoints.appending(path: "\(JobIdentifier()).scores"))
        let process = try RunnerFixture(in: folder)
        try await process.runner.start(SteppingEngine())
        #expect(checkpointFiles.isEmpty)
        await process.runner.stop(grace: 10)
    }

    @Test("that is told to stop is taken up as well, with no attempt counted")
    func stopping() async throws {
        let process = try RunnerFixture(in: folder) { $0.batching.checkpointSeconds = 3_600 }
        let engine = SteppingEngine()
        engine.stop("a", before: 25)
        try await process.runner.start(engine)
        let id = try await process.large("a")
        try await engine.waitUntil("a", hasRun: 25)
        await process.runner.stop(grace: 0)
        #expect(checkpointFiles.count == 1)
        let later = try RunnerFixture(in: folder)
        let second = SteppingEngine()
        try await later.runner.start(second)
        try await later.wait(for: .succeeded, of: id)
        #expect(second.ran("a") == 15)
        #expect(try await later.store.job(id)?.attempts == 1)
        await later.runner.stop(grace: 10)
    }
}
