import CLinux
import Foundation

/// The service manager that started this process, where it wants to be told of its state: sd_notify(3), one datagram to the
/// socket that `NOTIFY_SOCKET` names.
struct ServiceManager: Sendable {
    enum State: Equatable {
        case ready, stopping
        /// What is being done, in words.
        case status(String)

        var message: String {
            switch self {
            case .ready: "READY=1\nSTATUS=answering queries"
            case .stopping: "STOPPING=1\nSTATUS=stopping"
            case .status(let text): "STATUS=\(text.replacing("\n", with: " "))"
            }
        }
    }

    private let socket: String?

    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        socket = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Tells it, if there is one. That it cannot be told is no reason to stop.
    func notify(_ state: State) {
        guard let socket else { return }
        _ = tributary_send_to_unix_socket(socket, state.message)
    }
}
