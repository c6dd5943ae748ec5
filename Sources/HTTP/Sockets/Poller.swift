import CLinux
import Glibc

/// What a descriptor is ready for, or is watched for.
struct Readiness: OptionSet, Sendable {
    let rawValue: UInt32

    static let readable = Readiness(rawValue: tributary_epoll_readable)
    static let writable = Readiness(rawValue: tributary_epoll_writable)
    /// The peer has shut down its sending side.
    static let peerFinished = Readiness(rawValue: tributary_epoll_peer_finished)
    /// The connection is gone in both directions. Reported even when not asked for.
    static let hungUp = Readiness(rawValue: tributary_epoll_hang_up | tributary_epoll_error)
}

/// A level-triggered epoll set with a bell that other threads can ring.
struct Poller: ~Copyable, Sendable {
    private let epoll: Descriptor
    private let bell: Descriptor

    /// The token under which the bell is reported; no handler has it.
    private static let bellToken: UInt64 = 0

    init() throws(SystemError) {
        let epoll = try Self.owned(tributary_epoll_create(), by: "epoll_create1")
        let bell = try Self.owned(tributary_eventfd(), by: "eventfd")
        let interest = Readiness.readable.rawValue
        guard tributary_epoll_add(epoll.rawValue, bell.rawValue, interest, Self.bellToken) == 0 else {
            throw .last("epoll_ctl")
        }
        self.epoll = epoll
        self.bell = bell
    }

    private static func owned(_ rawValue: Int32, by call: String) throws(SystemError) -> Descriptor {
        guard rawValue >= 0 else { throw .last(call) }
        return Descriptor(owning: rawValue)
    }

    func add(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
        guard tributary_epoll_add(epoll.rawValue, descriptor, interest.rawValue, token) == 0 else {
            throw .last("epoll_ctl")
        }
    }

    func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
        guard tributary_epoll_modify(epoll.rawValue, descriptor, interest.rawValue, token) == 0 else {
            throw .last("epoll_ctl")
        }
    }

    func remove(_ descriptor: Int32) {
        _ = tributary_epoll_remove(epoll.rawValue, descriptor)
    }

    /// Waits for descriptors to become ready, the bell, or the timeout.
    ///
    /// - Parameters:
    ///   - milliseconds: How long to wait; -1 for ever.
    ///   - events: Is filled from the start; its length is the most that one call reports.
    /// - Returns: How many events were filled in. The bell counts as none.
    func wait(milliseconds: Int32, into events: inout [tributary_epoll_event]) -> Int {
        let ready = tributary_epoll_wait(epoll.rawValue, &events, Int32(events.count), milliseconds)
        var kept = 0
        for index in 0..<max(Int(ready), 0) {
            if events[index].token == Self.bellToken {
                silenceBell()
            } else {
                events[kept] = events[index]
                kept += 1
            }
        }
        return kept
    }

    /// Makes the current or the next wait return at once.
    func ring() {
        var one: UInt64 = 1
        _ = Glibc.write(bell.rawValue, &one, MemoryLayout<UInt64>.size)
    }

    private func silenceBell() {
        var count: UInt64 = 0
        _ = Glibc.read(bell.rawValue, &count, MemoryLayout<UInt64>.size)
    }
}
