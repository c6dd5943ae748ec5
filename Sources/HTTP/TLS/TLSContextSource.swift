import Synchronization

/// The context for new connections, which can be exchanged while the server runs.
///
/// Connections keep the context they began with.
final class TLSContextSource: Sendable {
    private let configuration: TLSConfiguration
    private let latest: Mutex<TLSContext>

    init(_ configuration: TLSConfiguration) throws(TLSError) {
        self.configuration = configuration
        latest = Mutex(try TLSContext(configuration))
    }

    var current: TLSContext { latest.withLock { $0 } }

    /// Reads the files again. Where they cannot be used, all stays as it was.
    func reload() throws(TLSError) {
        let context = try TLSContext(configuration)
        latest.withLock { $0 = context }
    }
}
