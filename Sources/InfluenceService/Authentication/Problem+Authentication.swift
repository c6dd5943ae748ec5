import HTTP
import HTTPTypes

/// The problems of callers that may not do what they ask for (RFC 6750 section 3).
extension Problem {
    static let tokenMissing = unauthorized(
        .tokenMissing,
        "This server wants a token: send \"Authorization: Bearer TOKEN\". tributary token create makes one.",
        challenge: [])

    static let tokenMalformed = unauthorized(
        .tokenInvalid, "The Authorization field is not \"Bearer TOKEN\".",
        challenge: ["error=\"invalid_request\""])

    static let tokenInvalid = unauthorized(
        .tokenInvalid, "The token is not one of this server's, or was revoked.",
        challenge: ["error=\"invalid_token\""])

    static let tokenExpired = unauthorized(
        .tokenExpired, "The token has expired: ask for a new one.",
        challenge: ["error=\"invalid_token\""])

    static func scopeTooSmall(needed: Scope, has: Scope) -> Problem {
        Problem(
            .scopeTooSmall,
            detail: "This needs a token of scope \"\(needed.rawValue)\", and yours has \"\(has.rawValue)\".",
            headers: [
                .wwwAuthenticate: bearer(["error=\"insufficient_scope\"", "scope=\"\(needed.rawValue)\""])
            ])
    }

    static func tooManyRequests(limit: Int, retryAfter seconds: Int) -> Problem {
        Problem(
            .tooManyRequests,
            detail: "This token may send \(limit) requests a minute: wait before you send the next.",
            headers: [.retryAfter: String(seconds)])
    }

    static func tooManyQueries(waiting: Int, limit: Int) -> Problem {
        Problem(
            .tooManyQueries,
            detail:
                "\(waiting) queries of this token are waiting, and \(limit) may: try again when some have finished.",
            headers: [.retryAfter: "10"])
    }

    private static func unauthorized(_ kind: ProblemKind, _ detail: String, challenge: [String]) -> Problem {
        Problem(kind, detail: detail, headers: [.wwwAuthenticate: bearer(challenge)])
    }

    /// The challenge of RFC 6750 section 3, in which at least one parameter must follow the scheme.
    private static func bearer(_ parameters: [String]) -> String {
        "Bearer " + (["realm=\"tributary\""] + parameters).joined(separator: ", ")
    }
}
