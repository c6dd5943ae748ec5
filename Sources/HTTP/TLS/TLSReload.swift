import Synchronization

/// The context for new connections, which can be replaced while the server runs.
///
/// A connection keeps the context that it began with.
final class TLSContextSource: Sendable {
    private let configuration: TLSConfiguration
    private let latest: Mutex<TLSContext>

    init(_ configuration: TLSConfiguration) throws(TLSError) {
        self.configuration = configuration
        latest = Mutex(try TLSContext(configuration))
    }

    var current: TLSContext { latest.withLock { $0 } }

    /// Reads the files again. If they cannot be used, the current context stays.
    func reload() throws(TLSError) {
        let context = try TLSContext(configuration)
        latest.withLock { $0 = context }
    }
}
