import Glibc

/// A file descriptor that is closed when its owner lets go of it.
///
/// It cannot be copied, so a descriptor has one owner, is closed once, and cannot leak on an early return.
struct Descriptor: ~Copyable, Sendable {
    let rawValue: Int32

    init(owning rawValue: Int32) {
        self.rawValue = rawValue
    }

    deinit {
        // Linux frees the descriptor even when close(2) reports EINTR; calling it again could close another's.
        _ = Glibc.close(rawValue)
    }
}

/// A failed system call.
struct SystemError: Error, Equatable, CustomStringConvertible {
    let call: String
    let code: Int32

    /// The error that the call which has just failed left in `errno`.
    static func last(_ call: String) -> SystemError {
        SystemError(call: call, code: errno)
    }

    var description: String {
        "\(call): \(String(cString: strerror(code)))"
    }
}
