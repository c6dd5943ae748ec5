import Foundation
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
