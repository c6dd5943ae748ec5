import Attribution

/// How fast a stage of a sweep goes, and how long it will still take.
struct StagePace: Sendable {
    private var start: (time: ContinuousClock.Instant, done: Int)?

    /// - Returns: `nil` as long as there is nothing to tell it by.
    mutating func secondsLeft(at progress: InfluenceProgress, now: ContinuousClock.Instant) -> Double? {
        guard let start else {
            start = (now, progress.done)
            return nil
        }
        let done = progress.done - start.done
        guard done > 0 else { return nil }
        return start.time.duration(to: now) / .seconds(1) / Double(done)
            * Double(max(progress.total - progress.done, 0))
    }
}
