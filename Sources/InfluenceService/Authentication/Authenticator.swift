import Foundation
import Glibc
import HTTP
import HTTPTypes
import Logging
import Synchronization

/// Admits requests by their `Authorization: Bearer TOKEN` (RFC 6750).
final class Authenticator: Sendable {
    /// The token of the request that the current task answers; nil without a token.
    @TaskLocal static var caller: AccessToken?

    private let file: TokenFile
    /// Whether a request without a token is refused. A token that a request has is always checked.
    let isRequired: Bool
    private let logger: Logger
    private let rates = RateLimiter()

    private struct State {
        var stamp: TokenFile.Stamp?
        var tokens: [String: AccessToken] = [:]
    }
    /// Guards the tokens and the stamp of the file from which they were read.
    private let state: Mutex<State>

    /// - Parameter file: Read now, and again whenever it has changed.
    /// - Throws: ``TokenFileError``.
    init(file: TokenFile, isRequired: Bool, logger: Logger) throws {
        self.file = file
        self.isRequired = isRequired
        self.logger = logger
        let stamp = file.stamp()
        state = Mutex(State(stamp: stamp, tokens: Self.byID(try file.tokens())))
    }

    private static func byID(_ tokens: [AccessToken]) -> [String: AccessToken] {
        Dictionary(tokens.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
    }

    /// Admits a request to a call that needs a scope.
    ///
    /// - Parameter counting: Whether the request counts towards its token's limit of requests per minute.
    /// - Returns: The request's token, if it has one.
    /// - Throws: ``Problem``: 401 without a valid token, 403 if its scope is too small, 429 if it has sent too many requests.
    func admit(_ request: Request, to scope: Scope, counting: Bool = true) throws(Problem) -> AccessToken? {
        guard let field = request.headers[.authorization] else {
            guard isRequired else { return nil }
            throw .tokenMissing
        }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw .tokenMalformed }
        let token = try token(parts[1].trimmingCharacters(in: .whitespaces))
        if let limit = token.requestsPerMinute,
            let wait = rates.take(token.id, perMinute: limit, counting: counting)
        {
            throw .tooManyRequests(limit: limit, retryAfter: max(1, Int(wait.rounded(.up))))
        }
        guard token.scope >= scope else { throw .scopeTooSmall(needed: scope, has: token.scope) }
        return token
    }

    private func token(_ text: String) throws(Problem) -> AccessToken {
        guard let (id, secret) = AccessToken.parts(of: text) else { throw .tokenInvalid }
        let known = current()[id]
        // An unknown token's secret is hashed too, so that the time of an answer does not reveal which ids exist.
        let candidate = known ?? Self.nobody
        let matches = candidate.matches(secret: secret)
        guard let known, matches else { throw .tokenInvalid }
        guard !known.hasExpired(at: Date()) else { throw .tokenExpired }
        return known
    }

    private static let nobody = AccessToken.create(name: "", scope: .read).token

    /// The tokens in the file now; if it cannot be read, the tokens that were read before.
    ///
    /// After a change, concurrent requests each read the file instead of waiting for one another.
    private func current() -> [String: AccessToken] {
        let stamp = file.stamp()
        let known = state.withLock { $0 }
        guard stamp != known.stamp else { return known.tokens }
        var tokens = known.tokens
        do {
            tokens = Self.byID(try file.tokens())
            logger.notice("tokens read", metadata: ["count": "\(tokens.count)"])
        } catch {
            logger.error(
                "the tokens could not be read; the server keeps the ones it has", metadata: ["error": "\(error)"])
        }
        // If a request that read an older file stores its tokens last, their stamp differs from the file's, and the next request reads the
        // file again.
        state.withLock { $0 = State(stamp: stamp, tokens: tokens) }
        rates.keep(Set(tokens.keys))
        return tokens
    }

    var tokenCount: Int { current().count }
}

extension Authenticator {
    /// - Throws: ``AuthenticationError`` if a token is needed and there is none, or ``TokenFileError``.
    convenience init(_ configuration: Configuration, workspace: URL, logger: Logger) throws {
        let settings = configuration.authentication
        let file = settings.tokensFile.map { URL(fileURLWithPath: $0) } ?? workspace.appending(path: TokenFile.name)
        let isRequired =
            switch settings.required {
            case .always: true
            case .never: false
            case .auto: !configuration.server.isLoopback
            }
        try self.init(file: TokenFile(file), isRequired: isRequired, logger: logger)
        if isRequired, tokenCount == 0 {
            throw AuthenticationError.noTokens(host: configuration.server.host, file: file.path)
        }
        if !isRequired, !configuration.server.isLoopback {
            logger.warning(
                "everyone who can reach this server can use it", metadata: ["host": "\(configuration.server.host)"])
        }
    }
}

/// Why a server cannot be started with its configuration.
public enum AuthenticationError: Error, Equatable, CustomStringConvertible {
    case noTokens(host: String, file: String)

    public var description: String {
        switch self {
        case .noTokens(let host, let file):
            "a server on \(host) requires a token with each request, and \(file) has none: create one with \"tributary token create\", "
                + "listen on 127.0.0.1, or serve without tokens with --insecure"
        }
    }
}

/// Limits the requests of each token: a token can send a minute's requests at once, and regains them evenly over a minute.
final class RateLimiter: Sendable {
    private struct Bucket {
        var level: Double
        var updated: ContinuousClock.Instant
    }

    private let buckets = Mutex<[String: Bucket]>([:])

    /// Takes one request from a token's bucket, or only checks whether one is available.
    ///
    /// - Returns: Nil if a request was available, otherwise the number of seconds until one will be.
    func take(
        _ id: String, perMinute limit: Int, counting: Bool = true, now: ContinuousClock.Instant = .now
    ) -> Double? {
        let capacity = Double(max(limit, 1))
        return buckets.withLock { buckets in
            var bucket = buckets[id] ?? Bucket(level: capacity, updated: now)
            let gained = (now - bucket.updated) / .seconds(60) * capacity
            bucket.level = min(capacity, bucket.level + max(gained, 0))
            bucket.updated = now
            defer { buckets[id] = bucket }
            guard bucket.level < 1 else {
                if counting { bucket.level -= 1 }
                return nil
            }
            return (1 - bucket.level) * 60 / capacity
        }
    }

    func keep(_ ids: Set<String>) {
        buckets.withLock { buckets in buckets = buckets.filter { ids.contains($0.key) } }
    }
}

/// The problems of callers without sufficient permission (RFC 6750 section 3).
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

    private static func unauthorized(_ kind: ProblemKind, _ detail: String, challenge: [String]) -> Problem {
        Problem(kind, detail: detail, headers: [.wwwAuthenticate: bearer(challenge)])
    }

    /// The challenge of RFC 6750 section 3, in which at least one parameter must follow the scheme.
    private static func bearer(_ parameters: [String]) -> String {
        "Bearer " + (["realm=\"tributary\""] + parameters).joined(separator: ", ")
    }
}
