import HTTP
import Synchronization

/// Limits the memory of all large responses that are being made or sent, so that many slow clients cannot exhaust it.
///
/// A single response is allowed to exceed the budget while no other one is counted.
final class ResponseBudget: Sendable {
    /// Responses up to this size are not counted, because a connection has only one at a time.
    static let smallBytes = 65_536

    let limit: Int
    /// Guards the bytes that are leased.
    private let leased = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// Counts the bytes of a response for as long as the lease lives.
    ///
    /// - Throws: A ``Problem`` with status 503 if they do not fit beside other responses.
    func lease(_ bytes: Int) throws(Problem) -> Lease {
        let isGranted = leased.withLock { leased in
            guard leased == 0 || leased + bytes <= limit else { return false }
            leased += bytes
            return true
        }
        guard isGranted else {
            throw .unavailable(
                detail: """
                    The answer takes \(bytes) bytes, and all large answers that are being made or sent can take at most \(limit) \
                    (jobs.maximum_response_bytes_in_flight): try again when other answers have been sent.
                    """,
                retryAfter: 2)
        }
        return Lease(bytes, of: self)
    }

    /// Counts a response, if it is large and not counted yet.
    func counted(_ response: Response) throws(Problem) -> Response {
        guard case .bytes(let bytes) = response.body, bytes.count > Self.smallBytes else { return response }
        var response = response
        response.body = .stream(LeasedBytes(bytes: bytes, lease: try lease(bytes.count)))
        return response
    }

    fileprivate func end(_ bytes: Int) { leased.withLock { $0 -= bytes } }

    /// Counts the bytes until the last reference to it is released.
    final class Lease: Sendable {
        private let bytes: Int
        private let budget: ResponseBudget

        fileprivate init(_ bytes: Int, of budget: ResponseBudget) {
            (self.bytes, self.budget) = (bytes, budget)
        }

        deinit { budget.end(bytes) }
    }
}

/// Bytes that are sent in chunks, and counted until all are sent.
private struct LeasedBytes: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    private static let chunkBytes = 262_144

    let bytes: [UInt8]
    let lease: ResponseBudget.Lease

    func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    struct Iterator: AsyncIteratorProtocol {
        let body: LeasedBytes
        private var position = 0

        init(body: LeasedBytes) { self.body = body }

        mutating func next() async throws -> [UInt8]? {
            guard position < body.bytes.count else { return nil }
            let end = Swift.min(position + LeasedBytes.chunkBytes, body.bytes.count)
            defer { position = end }
            return Array(body.bytes[position..<end])
        }
    }
}
