/// Tasks of an actor that wait for something by its name, or for a time-out, or for their own cancellation.
struct Sleepers<Event: Hashable & Sendable> {
    private var byEvent: [Event: [Int: CheckedContinuation<Void, Never>]] = [:]
    private var lastToken = 0

    /// A number for one wait.
    mutating func token() -> Int {
        lastToken += 1
        return lastToken
    }

    mutating func add(_ continuation: CheckedContinuation<Void, Never>, for event: Event, token: Int) {
        byEvent[event, default: [:]][token] = continuation
    }

    /// Wakes one task, if it still sleeps.
    mutating func wake(_ event: Event, token: Int) {
        byEvent[event]?.removeValue(forKey: token)?.resume()
        if byEvent[event]?.isEmpty == true { byEvent[event] = nil }
    }

    /// Wakes all that wait for an event.
    mutating func wake(_ event: Event) {
        for continuation in (byEvent.removeValue(forKey: event) ?? [:]).values { continuation.resume() }
    }
}
