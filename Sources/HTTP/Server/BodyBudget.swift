import Glibc
import Synchronization

/// The memory that the bodies of all current requests share.
///
/// If bytes exceed the budget, the slowest of the arriving bodies are displaced: only bodies that are slower than the one that
/// needs the memory, and slower than ``safeRate``; otherwise the new bytes are refused. So a client that sends much and then
/// stalls cannot keep all others out, and a later request does not displace a body that arrives steadily.
final class BodyBudget: Sendable {
    fileprivate struct Body {
        var bytes = 0
        /// Nil once the body is complete. It is then never displaced.
        var arrival: ArrivalRate?
        let displace: @Sendable () -> Void
    }

    fileprivate struct State {
        var used = 0
        var bodies: [UInt64: Body] = [:]
        var lastToken: UInt64 = 0
    }

    fileprivate let limit: Int
    /// A body that arrives at this rate, in bytes per second, or faster is not displaced. The server sets it to the rate at which
    /// a body of the largest size arrives within the time that a client can be silent.
    fileprivate let safeRate: Double
    fileprivate let state = Mutex(State())

    init(limit: Int, safeRate: Double) {
        self.limit = max(limit, 0)
        self.safeRate = safeRate
    }

    var used: Int { state.withLock { $0.used } }

    /// `displace` is called from any thread when the body is displaced; its bytes are then no longer counted.
    func open(at now: ContinuousClock.Instant, displace: @escaping @Sendable () -> Void) -> BodyHold {
        let token = state.withLock { state in
            state.lastToken += 1
            state.bodies[state.lastToken] = Body(arrival: ArrivalRate(at: now), displace: displace)
            return state.lastToken
        }
        return BodyHold(budget: self, token: token)
    }

    /// The slowest arriving bodies that together free the needed bytes; nil if they cannot. O(n log n) in the number of bodies, O(1)
    /// if no bytes are needed.
    fileprivate static func slowest(
        of bodies: [UInt64: Body], slowerThan rate: Double, freeing needed: Int, at now: ContinuousClock.Instant
    ) -> [UInt64]? {
        guard needed > 0 else { return [] }
        let candidates = bodies.compactMap { token, body in
            body.arrival.map { (token: token, bytes: body.bytes, rate: $0.bytesPerSecond(at: now)) }
        }
        var freed = 0
        var tokens: [UInt64] = []
        for candidate in candidates.filter({ $0.rate < rate }).sorted(by: { $0.rate < $1.rate }) where freed < needed {
            tokens.append(candidate.token)
            freed += candidate.bytes
        }
        return freed >= needed ? tokens : nil
    }
}

/// One body's share of a ``BodyBudget``. It is given back by ``release()``, or at the latest when this object is destroyed.
final class BodyHold: Sendable {
    private let budget: BodyBudget
    private let token: UInt64

    fileprivate init(budget: BodyBudget, token: UInt64) {
        self.budget = budget
        self.token = token
    }

    deinit { release() }

    /// False if the bytes exceed the budget, or the body was displaced.
    func take(_ bytes: Int, at now: ContinuousClock.Instant = .now) -> Bool {
        let (isTaken, displaced) = budget.state.withLock { state -> (Bool, [BodyBudget.Body]) in
            guard var body = state.bodies.removeValue(forKey: token) else { return (false, []) }
            defer { state.bodies[token] = body }
            body.arrival?.take(bytes, at: now)
            let excess = bytes - (budget.limit - state.used)
            let slower = min(body.arrival?.bytesPerSecond(at: now) ?? .infinity, budget.safeRate)
            guard let tokens = BodyBudget.slowest(of: state.bodies, slowerThan: slower, freeing: excess, at: now)
            else { return (false, []) }
            let displaced = tokens.compactMap { state.bodies.removeValue(forKey: $0) }
            for body in displaced { state.used -= body.bytes }
            body.bytes += bytes
            state.used += bytes
            return (true, displaced)
        }
        for body in displaced { body.displace() }
        return isTaken
    }

    func complete() {
        budget.state.withLock { $0.bodies[token]?.arrival = nil }
    }

    func release() {
        // Removed under the lock, but released after it, because the closure can have the last reference to an object.
        let body = budget.state.withLock { state in
            let body = state.bodies.removeValue(forKey: token)
            state.used -= body?.bytes ?? 0
            return body
        }
        _ = body
    }
}

/// The deadline by which more of a body must arrive.
///
/// A client starts with an account of seconds, which run out. Every `rate` bytes earn it one second, up to the amount it started
/// with. So a body that arrives at `rate` or faster is never refused, however long it is. A client cannot earn a longer silence
/// by sending bytes early: one that stops is refused after the account's seconds at the latest. A body of n bytes takes at most
/// n / rate seconds, plus the account.
struct BodyPace: Sendable, Equatable {
    private(set) var deadline: ContinuousClock.Instant
    private let account: Duration
    private let rate: Double

    init(account: Duration, rate: Int, at now: ContinuousClock.Instant) {
        self.account = account
        self.rate = Double(max(rate, 1))
        deadline = now + account
    }

    mutating func take(_ bytes: Int, at now: ContinuousClock.Instant) {
        deadline = min(deadline + .seconds(Double(bytes) / rate), now + account)
    }
}

/// The rate at which bytes have arrived in about the last second.
///
/// It is an exponentially weighted average: the weight of a byte falls by a factor of e per second.
struct ArrivalRate: Sendable {
    private let started: ContinuousClock.Instant
    private var updated: ContinuousClock.Instant
    private var weighted = 0.0

    init(at now: ContinuousClock.Instant) { (started, updated) = (now, now) }

    mutating func take(_ bytes: Int, at now: ContinuousClock.Instant) {
        weighted = weighted(at: now) + Double(bytes)
        updated = now
    }

    /// The average is corrected for the short time at the start, so that it is not too low. The rate is infinite if all bytes have
    /// arrived at one instant.
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
