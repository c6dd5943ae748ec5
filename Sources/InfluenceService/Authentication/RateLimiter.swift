import Synchronization

/// Counts requests by token: each may send a minute's worth at once, and gets it back evenly over a minute.
final class RateLimiter: Sendable {
    private struct Bucket {
        /// Requests that may be sent now.
        var level: Double
        var updated: ContinuousClock.Instant
    }

    private let buckets = Mutex<[String: Bucket]>([:])

    /// Takes one request off a token's account.
    ///
    /// - Parameter counting: Whether it is taken; otherwise only looks whether there is one.
    /// - Returns: Nil if there was one left, otherwise after how many seconds there will be.
    func take(
        _ id: String, perMinute limit: Int, counting: Bool = true, now: ContinuousClock.Instant = .now
    ) -> Double? {
        let capacity = Double(max(limit, 1))
        return buckets.withLock { buckets in
            var bucket = buckets[id] ?? Bucket(level: capacity, updated: now)
            let gained = (now - bucket.updated) / .seconds(60) * capacity
            bucket.level = min(capacity, bucket.level + max(gained, 0))
            bucket.updated = now
            defer { buckets[id] = bucket }
            guard bucket.level < 1 else {
                if counting { bucket.level -= 1 }
                return nil
            }
            return (1 - bucket.level) * 60 / capacity
        }
    }

    /// Forgets tokens that are no longer known.
    func keep(_ ids: Set<String>) {
        buckets.withLock { buckets in buckets = buckets.filter { ids.contains($0.key) } }
    }
}
