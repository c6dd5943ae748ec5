import CLinux
import Glibc

/// The events that a descriptor is ready for, or watched for.
struct Readiness: OptionSet, Sendable {
    let rawValue: UInt32

    static let readable = Readiness(rawValue: tributary_epoll_readable)
    static let writable = Readiness(rawValue: tributary_epoll_writable)
    static let peerFinished = Readiness(rawValue: tributary_epoll_peer_finished)
    /// There is something to read: bytes, or the end of the peer's stream.
    static let incoming: Readiness = [.readable, .peerFinished]
    /// The connection is gone in both directions. Reported even when not asked for.
    static let hungUp = Readiness(rawValue: tributary_epoll_hang_up | tributary_epoll_error)
}

/// A level-triggered epoll set that other threads can wake.
struct Poller: ~Copyable, Sendable {
    private let epoll: Descriptor
    private let wakeup: Descriptor

    /// The token under which the eventfd is reported. No handler has it.
    private static let wakeupToken: UInt64 = 0

    init() throws(SystemError) {
        let epoll = try Self.owned(tributary_epoll_create(), by: "epoll_create1")
        let wakeup = try Self.owned(tributary_eventfd(), by: "eventfd")
        let interest = Readiness.readable.rawValue
        try Self.check(tributary_epoll_add(epoll.rawValue, wakeup.rawValue, interest, Self.wakeupToken))
        self.epoll = epoll
        self.wakeup = wakeup
    }

    private static func owned(_ rawValue: Int32, by call: String) throws(SystemError) -> Descriptor {
        guard rawValue >= 0 else { throw .last(call) }
        return Descriptor(owning: rawValue)
    }

    func add(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
        try Self.check(tributary_epoll_add(epoll.rawValue, descriptor, interest.rawValue, token))
    }

    func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
        try Self.check(tributary_epoll_modify(epoll.rawValue, descriptor, interest.rawValue, token))
    }

    private static func check(_ status: Int32) throws(SystemError) {
        guard status == 0 else { throw .last("epoll_ctl") }
    }

    func remove(_ descriptor: Int32) {
        _ = tributary_epoll_remove(epoll.rawValue, descriptor)
    }

    /// Waits until a descriptor is ready, another thread calls ``wake()``, or the time is over; -1 waits without end.
    ///
    /// The events are filled in from the start, at most as many as there are. Returns their number, without that of ``wake()``.
    func wait(milliseconds: Int32, into events: inout [tributary_epoll_event]) -> Int {
        let ready = tributary_epoll_wait(epoll.rawValue, &events, Int32(events.count), milliseconds)
        var kept = 0
        for index in 0..<max(Int(ready), 0) {
            if events[index].token == Self.wakeupToken {
                var count: UInt64 = 0
                _ = Glibc.read(wakeup.rawValue, &count, MemoryLayout<UInt64>.size)
            } else {
                events[kept] = events[index]
                kept += 1
            }
        }
        return kept
    }

    /// Makes the current or the next wait return at once.
    func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeup.rawValue, &one, MemoryLayout<UInt64>.size)
    }
}
