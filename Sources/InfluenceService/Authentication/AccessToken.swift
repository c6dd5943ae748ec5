import Files
import Foundation
import Limits

/// A bearer token as it is kept: enough to recognise its secret, not enough to use it.
///
/// The token itself, shown once when it is made, is `trb_ID_SECRET`. The secret has 256 random bits, so that one salted SHA-256
/// keeps it safe: no slow hash is needed where nothing can be guessed.
public struct AccessToken: Sendable, Equatable, Codable {
    /// Public: names the token in lists and logs. Ten letters and digits.
    public let id: String
    /// What it is for, in its maker's words.
    public let name: String
    public let scope: Scope
    public let created: Date
    /// From when on it is refused; nil for never.
    public let expires: Date?
    /// The most requests that it may send in a minute; nil for any number.
    public let requestsPerMinute: Int?
    /// The most of its queries that may wait or run at a time; nil for as many as the server takes.
    public let queuedQueries: Int?

    private let salt: Data
    /// SHA-256 of the salt and the secret.
    private let hash: Data

    /// What a token can be limited to.
    public enum Limits {
        public static let days = NumberLimit.above(0, to: 36_500)
        public static let requestsPerMinute = 1...1_000_000
        public static let queuedQueries = Configuration.Jobs.queuedQueriesLimit
    }

    private static let prefix = "trb"
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    /// Makes a token.
    ///
    /// - Returns: The token as it is kept, and the text to hand to its user.
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

    /// Whether a secret is this token's. Takes the same time for any secret.
    func matches(secret: String) -> Bool {
        Array(Self.digest(of: secret, salt: salt)).isEqualInConstantTime(to: Array(hash))
    }

    func hasExpired(at date: Date) -> Bool { expires.map { $0 <= date } ?? false }

    /// The two parts of a token's text, if it has the form of one.
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

    /// Letters of five random bits each.
    private static func random(_ count: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String(
            decoding: (0..<count).map { _ in alphabet[Int(generator.next() as UInt8) & 31] }, as: UTF8.self)
    }

    private enum CodingKeys: String, CodingKey {
        case id, name, scope, created, expires
        case requestsPerMinute = "requests_per_minute"
        case queuedQueries = "queued_queries"
        case salt, hash
    }
}

extension Date {
    /// The time cut to whole seconds, as it is kept.
    fileprivate var inWholeSeconds: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }
}

/// What a caller may do. Each scope includes those before it.
public enum Scope: String, Sendable, Codable, CaseIterable, Comparable {
    /// Look at jobs, results, the model and the corpus.
    case read
    /// Ask for influence and completions, and cancel jobs.
    case query
    /// Add to the corpus.
    case admin

    public static func < (one: Scope, other: Scope) -> Bool { one.order < other.order }

    private var order: Int {
        switch self {
        case .read: 0
        case .query: 1
        case .admin: 2
        }
    }
}
