import Foundation

/// Runs blocking calls on threads of its own, a few at a time, so that none of Swift's own pool is blocked.
struct BlockingLane: Sendable {
    private let queue: OperationQueue

    /// - Parameter width: How many calls run at a time; more wait for their turn.
    init(_ name: String, width: Int, qualityOfService: QualityOfService) {
        queue = OperationQueue()
        queue.name = name
        queue.maxConcurrentOperationCount = width
        queue.qualityOfService = qualityOfService
    }

    /// Runs a call and suspends until it returns.
    func run<Value: Sendable>(_ call: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.addOperation { continuation.resume(with: Result(catching: call)) }
        }
    }

    /// Runs a call that cannot fail and suspends until it returns.
    func run<Value: Sendable>(_ call: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.addOperation { continuation.resume(returning: call()) }
        }
    }
}
