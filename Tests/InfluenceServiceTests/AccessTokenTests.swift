import Foundation
import HTTP
import Logging
import Testing

@testable import InfluenceService

@Suite("An access token", .timeLimit(.minutes(30)))
struct AccessTokenTests {
    @Test("matches its own secret and no other")
    func secrets() throws {
        let (token, text) = AccessToken.create(name: "notebook", scope: .query)
        let (id, secret) = try #require(AccessToken.parts(of: text))
        #expect(id == token.id)
        #expect(token.matches(secret: secret))
        #expect(!token.matches(secret: String(secret.dropLast())))
        #expect(!token.matches(secret: String(secret.reversed())))
        #expect(!token.matches(secret: ""))
        for _ in 0..<5_000 {
            let other = AccessToken.create(name: "notebook", scope: .query)
            let foreign = try #require(AccessToken.parts(of: other.text)).secret
            #expect(!token.matches(secret: foreign))
            #expect(other.token.id != token.id)
        }
    }

    @Test("is kept without its secret, in a file for its owner alone")
    func file() throws {
        let folder = try TemporaryFolder()
        let file = TokenFile(folder.url.appending(path: "tokens.json"))
        #expect(try file.tokens().isEmpty)
        let (token, text) = AccessToken.create(
            name: "notebook", scope: .read, expires: Date(timeIntervalSince1970: 2e9), requestsPerMinute: 5,
            queuedQueries: 7, at: Date(timeIntervalSince1970: 1e9))
        try file.add(token)
        #expect(try file.tokens() == [token])
        let written = try String(contentsOf: file.url, encoding: .utf8)
        let secret = try #require(AccessToken.parts(of: text)).secret
        #expect(written.contains(token.id) && !written.contains(secret))
        let attributes = try FileManager.default.attributesOfItem(atPath: file.url.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test("is revoked by its id, or by a name that is its own")
    func revocation() throws {
        let folder = try TemporaryFolder()
        let file = TokenFile(folder.url.appending(path: "tokens.json"))
        let tokens = ["a", "b", "b"].map { AccessToken.create(name: $0, scope: .read).token }
        for token in tokens { try file.add(token) }
        #expect(try file.revoke("a") == tokens[0])
        #expect(throws: TokenFileError.ambiguous(name: "b", ids: [tokens[1].id, tokens[2].id])) { try file.revoke("b") }
        #expect(try file.revoke(tokens[2].id) == tokens[2])
        #expect(throws: TokenFileError.unknownToken(name: "a", file: file.url.path)) { try file.revoke("a") }
        #expect(try file.tokens() == [tokens[1]])
    }

    @Test("file that is no such file is an error that names it")
    func malformedFile() throws {
        let folder = try TemporaryFolder()
        let file = TokenFile(folder.url.appending(path: "tokens.json"))
        try Data("{\"tokens\": 3}".utf8).write(to: file.url)
        let error = #expect(throws: TokenFileError.self) { try file.tokens() }
        #expect(error?.description.contains(file.url.path) == true)
    }

    @Test("of several processes' making is not lost")
    func concurrentChanges() throws {
        let folder = try TemporaryFolder()
        let file = TokenFile(folder.url.appending(path: "tokens.json"))
        let tokens = (0..<24).map { AccessToken.create(name: "\($0)", scope: .read).token }
        DispatchQueue.concurrentPerform(iterations: tokens.count) { try? file.add(tokens[$0]) }
        #expect(Set(try file.tokens().map(\.id)) == Set(tokens.map(\.id)))
    }

    @Test("may send a minute's requests at once, and gets them back over a minute")
    func rate() {
        let limiter = RateLimiter()
        let start = ContinuousClock.now
        for _ in 0..<6 { #expect(limiter.take("a", perMinute: 6, now: start) == nil) }
        #expect(limiter.take("a", perMinute: 6, now: start).map { abs($0 - 10) < 1e-6 } == true)
        #expect(limiter.take("b", perMinute: 6, now: start) == nil)
        #expect(limiter.take("a", perMinute: 6, now: start + .seconds(9)) != nil)
        #expect(limiter.take("a", perMinute: 6, now: start + .seconds(11)) == nil)
        #expect(limiter.take("a", perMinute: 6, now: start + .seconds(11)) != nil)
    }
}
