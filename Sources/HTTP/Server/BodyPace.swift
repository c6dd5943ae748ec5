import Glibc

/// By when more of a body must have come.
///
/// A client starts with an account of so many seconds, which run out; each `rate` bytes earn it a second, and it never has more than
/// it started with. So a body that comes at `rate` or faster is never given up, however long it is, and what was sent early buys no
/// silence: a client that stops is given up after the account's seconds at the latest. A body of n bytes takes n / rate seconds and
/// the account's at most.
struct BodyPace: Sendable, Equatable {
    /// When the account is empty.
    private(set) var deadline: ContinuousClock.Instant
    private let account: Duration
    private let rate: Double

    /// - Parameters:
    ///   - account: What a client starts with.
    ///   - rate: Bytes that earn a second; 1 at least.
    init(account: Duration, rate: Int, at now: ContinuousClock.Instant) {
        self.account = account
        self.rate = Double(max(rate, 1))
        deadline = now + account
    }

    /// Credits bytes that have come.
    mutating func take(_ bytes: Int, at now: ContinuousClock.Instant) {
        deadline = min(deadline + .seconds(Double(bytes) / rate), now + account)
    }
}

/// How fast bytes have come in the last second or so.
///
/// Bytes count the less the older they are, by a factor of e per second.
struct ArrivalRate: Sendable {
    private let started: ContinuousClock.Instant
    private var updated: ContinuousClock.Instant
    private var weighted = 0.0

    init(at now: ContinuousClock.Instant) { (started, updated) = (now, now) }

    mutating func take(_ bytes: Int, at now: ContinuousClock.Instant) {
        weighted = weighted(at: now) + Double(bytes)
        updated = now
    }

    /// Without a bias towards slowness at the start, when the average is over less than a second: bytes that came at one moment
    /// came infinitely fast.
    func bytesPerSecond(at now: ContinuousClock.Instant) -> Double {
        let window = 1 - exp(-Self.seconds(from: started, to: now))
        return window > 0 ? weighted(at: now) / window : .infinity
    }

    private func weighted(at now: ContinuousClock.Instant) -> Double {
        weighted * exp(-Self.seconds(from: updated, to: now))
    }

    private static func seconds(from start: ContinuousClock.Instant, to end: ContinuousClock.Instant) -> Double {
        max((end - start) / .seconds(1), 0)
    }
}
