/// What a sweep is made of, as it is kept until the sweep has ended.
struct StartedSweep: Sendable, Equatable {
    var members: [SweepMember]
    /// How long its checkpoint was when it began: if it was longer when the process died, the sweep had come on.
    var checkpointBytes: Int
}

/// The queries of one job that take part in a sweep.
struct SweepMember: Sendable, Equatable, Codable {
    var job: String
    /// In the job's request, from 0.
    var positions: [Int]
}

/// A sweep that had begun when the process ended.
struct InterruptedSweep: Sendable, Equatable {
    /// That of its ``JobTimings/Batch``.
    var id: String
    var members: [SweepMember]
}

/// What an earlier process left unfinished.
struct Recovery: Sendable, Equatable {
    /// The queued jobs, in the order of their arrival.
    var jobs: [WaitingJob]
    /// In the order of their beginning.
    var sweeps: [InterruptedSweep]
    /// What could not be read, and has been dealt with otherwise.
    var faults: [RecoveryFault] = []
}

/// Something that a process left behind and that cannot be read.
enum RecoveryFault: Sendable, Equatable {
    /// What the sweep is made of is not known: its queries are in the queue, and are swept from the start.
    case sweep(id: String, reason: String)
    /// The job has failed, and says why.
    case job(id: String, reason: String)
}
