import Files
import Foundation
import Limits

/// A bearer token in the form in which it is stored: enough to recognise its secret, not enough to use it.
///
/// The token itself, shown once when it is created, is `trb_ID_SECRET`. The secret has 260 random bits and cannot be guessed, so one salted
/// SHA-256 protects it, and no slow hash is needed.
public struct AccessToken: Sendable, Equatable, Codable {
    /// The token's public name in lists and logs: ten letters and digits.
    public let id: String
    /// The name that its creator gave it.
    public let name: String
    public let scope: Scope
    public let created: Date
    /// When it expires; nil for never.
    public let expires: Date?
    /// The most requests per minute; nil for no limit.
    public let requestsPerMinute: Int?
    /// The most of its queries that can wait or run at a time; nil for no limit of its own.
    public let queuedQueries: Int?

    private let salt: Data
    /// SHA-256 of the salt and the secret.
    private let hash: Data

    /// The ranges of a token's limits.
    public enum Limits {
        public static let days = NumberLimit.above(0, to: 36_500)
        public static let requestsPerMinute = 1...1_000_000
        public static let queuedQueries = Configuration.Jobs.queuedQueriesLimit
    }

    private static let prefix = "trb"
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    /// - Returns: The token to store, and the text to give to its user.
    public static func create(
        name: String, scope: Scope, expires: Date? = nil, requestsPerMinute: Int? = nil, queuedQueries: Int? = nil,
        at date: Date = Date()
    ) -> (token: AccessToken, text: String) {
        let id = random(10)
        let secret = random(52)
        let salt = Data((0..<16).map { _ in UInt8.random(in: 0...255) })
        let token = AccessToken(
            id: id, name: name, scope: scope, created: date.inWholeSeconds,
            expires: expires?.inWholeSeconds, requestsPerMinute: requestsPerMinute,
            queuedQueries: queuedQueries, salt: salt, hash: digest(of: secret, salt: salt))
        return (token, "\(prefix)_\(id)_\(secret)")
    }

    /// Whether a secret is this token's. It takes the same time for any secret.
    func matches(secret: String) -> Bool {
        Array(Self.digest(of: secret, salt: salt)).isEqualInConstantTime(to: Array(hash))
    }

    func hasExpired(at date: Date) -> Bool { expires.map { $0 <= date } ?? false }

    static func parts(of text: some StringProtocol) -> (id: String, secret: String)? {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == prefix, !parts[1].isEmpty, !parts[2].isEmpty else { return nil }
        return (String(parts[1]), String(parts[2]))
    }

    private static func digest(of secret: String, salt: Data) -> Data {
        var digest = ContentDigest()
        digest.update(salt)
        digest.update(secret)
        return Data(digest.bytes)
    }

    /// Characters with five random bits each.
    private static func random(_ count: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String(
            decoding: (0..<count).map { _ in alphabet[Int(generator.next() as UInt8) & 31] }, as: UTF8.self)
    }
}

extension Date {
    fileprivate var inWholeSeconds: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }
}

/// What a caller is allowed to do. Each scope includes the ones before it.
public enum Scope: String, Sendable, Codable, CaseIterable, Comparable {
    /// Read jobs, results, the model and the corpus.
    case read
    /// Ask for influence and completions, and cancel jobs.
    case query
    /// Add to the corpus.
    case admin

    public static func < (one: Scope, other: Scope) -> Bool {
        allCases.firstIndex(of: one) ?? 0 < allCases.firstIndex(of: other) ?? 0
    }
}
