import Foundation
import Glibc
import HTTP
import HTTPTypes
import Logging
import Synchronization

/// Decides who may ask: by the `Authorization: Bearer TOKEN` of a request (RFC 6750).
final class Authenticator: Sendable {
    /// Who sent the request that a task works on; nil where no token was needed.
    @TaskLocal static var caller: AccessToken?

    private let file: TokenFile
    /// Whether a request without a token is refused.
    let isRequired: Bool
    private let logger: Logger
    private let rates = RateLimiter()

    private struct State {
        var stamp: TokenFile.Stamp?
        var tokens: [String: AccessToken] = [:]
    }
    /// Guards the tokens and the stamp of the file that they were read from.
    private let state: Mutex<State>

    /// - Parameters:
    ///   - file: Read at once, and again whenever it has changed.
    ///   - isRequired: Whether a token is needed. One that is given is checked in any case.
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

    /// Admits a request to what needs a scope.
    ///
    /// - Parameter counting: Whether the request counts among those that its token may send in a minute.
    /// - Returns: The token that the request bears, if it bears one.
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
        // A hash is taken of an unknown token's secret, too: the time of an answer does not tell which ids exist.
        let candidate = known ?? Self.nobody
        let matches = candidate.matches(secret: secret)
        guard let known, matches else { throw .tokenInvalid }
        guard !known.hasExpired(at: Date()) else { throw .tokenExpired }
        return known
    }

    private static let nobody = AccessToken.create(name: "", scope: .read).token

    /// The tokens as the file has them now. A file that cannot be read leaves those known before.
    ///
    /// Requests that come while it has changed each read it, rather than wait for another that does.
    private func current() -> [String: AccessToken] {
        let stamp = file.stamp()
        let known = state.withLock { $0 }
        guard stamp != known.stamp else { return known.tokens }
        var tokens = known.tokens
        do {
            tokens = Self.byID(try file.tokens())
            logger.notice("tokens read", metadata: ["count": "\(tokens.count)"])
        } catch {
            logger.error("the tokens could not be read; those known before stay", metadata: ["error": "\(error)"])
        }
        // Where an older reading comes last, its stamp is not the file's, and the next request reads again.
        state.withLock { $0 = State(stamp: stamp, tokens: tokens) }
        rates.keep(Set(tokens.keys))
        return tokens
    }

    /// How many tokens there are.
    var tokenCount: Int { current().count }
}

extension Authenticator {
    /// The authenticator of a server's configuration.
    ///
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
            logger.warning("all who reach this server may use it", metadata: ["host": "\(configuration.server.host)"])
        }
    }
}

/// Why a server cannot be started as it is configured.
public enum AuthenticationError: Error, Equatable, CustomStringConvertible {
    case noTokens(host: String, file: String)

    public var description: String {
        switch self {
        case .noTokens(let host, let file):
            "a server on \(host) wants a token with each request, and \(file) has none: make one with \"tributary token create\", "
                + "listen on 127.0.0.1, or serve without tokens by --insecure"
        }
    }
}

/// Counts requests by token: each may send a minute's worth at once, and gets it back evenly over a minute.
final class RateLimiter: Sendable {
    private struct Bucket {
        /// Requests that may be sent now.
        var level: Double
        var updated: ContinuousClock.Instant
    }

    private let buckets = Mutex<[String: Bucket]>([:])

    /// Takes one request off a token's account.
    ///
    /// - Parameter counting: Whether it is taken; otherwise only looks whether there is one.
    /// - Returns: Nil if there was one left, otherwise after how many seconds there will be.
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

    /// Forgets tokens that are no longer known.
    func keep(_ ids: Set<String>) {
        buckets.withLock { buckets in buckets = buckets.filter { ids.contains($0.key) } }
    }
}

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

    private static func unauthorized(_ kind: ProblemKind, _ detail: String, challenge: [String]) -> Problem {
        Problem(kind, detail: detail, headers: [.wwwAuthenticate: bearer(challenge)])
    }

    /// The challenge of RFC 6750 section 3, in which at least one parameter must follow the scheme.
    private static func bearer(_ parameters: [String]) -> String {
        "Bearer " + (["realm=\"tributary\""] + parameters).joined(separator: ", ")
    }
}
