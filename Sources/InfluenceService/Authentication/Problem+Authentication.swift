import HTTP
import HTTPTypes

/// The problems of callers that may not do what they ask for (RFC 6750 section 3).
extension Problem {
    static let tokenMissing = unauthorized(
        .tokenMissing,
        "The server requires a token: send \"Authorization: Bearer TOKEN\". tributary token create makes a token.",
        challenge: [])

    static let tokenMalformed = unauthorized(
        .tokenInvalid, "The Authorization field is not of the form \"Bearer TOKEN\".",
        challenge: ["error=\"invalid_request\""])

    static let tokenInvalid = unauthorized(
        .tokenInvalid, "The server does not know the token, or the token was revoked.",
        challenge: ["error=\"invalid_token\""])

    static let tokenExpired = unauthorized(
        .tokenExpired, "The token has expired: ask the operator for a new one.",
        challenge: ["error=\"invalid_token\""])

    static func scopeTooSmall(needed: Scope, has: Scope) -> Problem {
        Problem(
            .scopeTooSmall,
            detail:
                "The call needs a token of scope \"\(needed.rawValue)\", and this token's scope is \"\(has.rawValue)\".",
            headers: [
                .wwwAuthenticate: bearer(["error=\"insufficient_scope\"", "scope=\"\(needed.rawValue)\""])
            ])
    }

    static func tooManyRequests(limit: Int, retryAfter seconds: Int) -> Problem {
        Problem(
            .tooManyRequests,
            detail: "The token is limited to \(limit) requests per minute: wait before you send the next.",
            headers: [.retryAfter: String(seconds)])
    }

    static func tooManyQueries(waiting: Int, limit: Int) -> Problem {
        Problem(
            .tooManyQueries,
            detail:
                "\(waiting) queries of this token are waiting, of at most \(limit): try again when some of them have finished.",
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
