import Foundation

/// A client's own name for a request, so that the request can be sent again without being done again.
///
/// (draft-ietf-httpapi-idempotency-key-header, section 2.)
public struct IdempotencyKey: Sendable, Equatable {
    public var text: String
    /// The ``Asker/id`` of the client, as two may think of the same text; empty where it needs no token and has none.
    public var owner: String
    /// Tells the request from others that wrongly have the same key.
    public var requestDigest: Data

    public init(text: String, owner: String = "", requestDigest: Data) {
        self.text = text
        self.owner = owner
        self.requestDigest = requestDigest
    }
}

/// What became of a request for a job.
public struct Submission: Sendable, Equatable {
    public var job: Job
    /// Whether an earlier request with the same key had made the job.
    public var isReplay: Bool
}
