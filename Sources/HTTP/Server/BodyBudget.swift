import Glibc
import Synchronization

/// The memory that the bodies of all requests under way have together.
///
/// Bodies share it by how fast they come. Where bytes do not fit, the slowest of the bodies that are still arriving are given up
/// for them, as long as these are slower than the body that wants the memory, and slower than a body of the largest size must be to
/// arrive within the time that a client may be silent. Otherwise the bytes are refused. So clients that send much and then dawdle
/// cannot keep all others out, and those that come steadily are not displaced by ones that begin later.
final class BodyBudget: Sendable {
    private struct Body {
        var bytes = 0
        /// Nil once the body has come whole: it is displaced no more.
        var arrival: ArrivalRate?
        let displace: @Sendable () -> Void
    }

    private struct State {
        var used = 0
        var bodies: [UInt64: Body] = [:]
        var lastToken: UInt64 = 0
    }

    private let limit: Int
    /// Bytes per second from which on a body is not displaced.
    private let safeRate: Double
    private let state = Mutex(State())

    init(limit: Int, safeRate: Double) {
        self.limit = max(limit, 0)
        self.safeRate = safeRate
    }

    /// Bytes in use.
    var used: Int { state.withLock { $0.used } }

    /// Begins to count a body.
    ///
    /// - Parameter displace: Called from any thread when the body is given up for others. Its bytes are then no longer counted.
    func open(at now: ContinuousClock.Instant, displace: @escaping @Sendable () -> Void) -> BodyHold {
        let token = state.withLock { state in
            state.lastToken += 1
            state.bodies[state.lastToken] = Body(arrival: ArrivalRate(at: now), displace: displace)
            return state.lastToken
        }
        return BodyHold(budget: self, token: token)
    }

    /// Counts some bytes more of a body.
    ///
    /// - Returns: False where they do not fit, and where the body was displaced.
    fileprivate func take(_ bytes: Int, for token: UInt64, at now: ContinuousClock.Instant) -> Bool {
        let (isTaken, displaced) = state.withLock { state -> (Bool, [Body]) in
            guard var body = state.bodies.removeValue(forKey: token) else { return (false, []) }
            defer { state.bodies[token] = body }
            body.arrival?.take(bytes, at: now)
            let excess = bytes - (limit - state.used)
            let slower = min(body.arrival?.bytesPerSecond(at: now) ?? .infinity, safeRate)
            guard let tokens = Self.slowest(of: state.bodies, slowerThan: slower, freeing: excess, at: now) else {
                return (false, [])
            }
            let displaced = tokens.compactMap { state.bodies.removeValue(forKey: $0) }
            for body in displaced { state.used -= body.bytes }
            body.bytes += bytes
            state.used += bytes
            return (true, displaced)
        }
        for body in displaced { body.displace() }
        return isTaken
    }

    /// The slowest arriving bodies whose bytes are together as many as are wanted.
    ///
    /// - Returns: Nil where there are not enough; none where nothing is wanted.
    /// - Complexity: O(n log n) in the number of bodies where something is wanted.
    private static func slowest(
        of bodies: [UInt64: Body], slowerThan rate: Double, freeing wanted: Int, at now: ContinuousClock.Instant
    ) -> [UInt64]? {
        guard wanted > 0 else { return [] }
        let candidates = bodies.compactMap { token, body in
            body.arrival.map { (token: token, bytes: body.bytes, rate: $0.bytesPerSecond(at: now)) }
        }
        var freed = 0
        var tokens: [UInt64] = []
        for candidate in candidates.filter({ $0.rate < rate }).sorted(by: { $0.rate < $1.rate }) where freed < wanted {
            tokens.append(candidate.token)
            freed += candidate.bytes
        }
        return freed >= wanted ? tokens : nil
    }

    fileprivate func complete(_ token: UInt64) {
        state.withLock { $0.bodies[token]?.arrival = nil }
    }

    fileprivate func close(_ token: UInt64) {
        // Removed here and released after the lock: the closure may hold the last reference to something.
        let body = state.withLock { state in
            let body = state.bodies.removeValue(forKey: token)
            state.used -= body?.bytes ?? 0
            return body
        }
        _ = body
    }
}

/// What one body takes of a ``BodyBudget``, until it is released or nobody refers to it any more.
final class BodyHold: Sendable {
    private let budget: BodyBudget
    private let token: UInt64

    fileprivate init(budget: BodyBudget, token: UInt64) {
        self.budget = budget
        self.token = token
    }

    deinit { release() }

    /// Counts some bytes more; false where they do not fit, or the body was displaced.
    func take(_ bytes: Int, at now: ContinuousClock.Instant = .now) -> Bool { budget.take(bytes, for: token, at: now) }

    /// Says that the body has come whole.
    func complete() { budget.complete(token) }

    /// Counts nothing any more.
    func release() { budget.close(token) }
}

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
