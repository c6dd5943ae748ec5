import Files
import Foundation
import Glibc
import JSON

/// The file with the tokens that a server accepts: JSON, readable only by its owner.
///
/// The server only reads it, and notices changes itself; the command line changes it, one process at a time.
public struct TokenFile: Sendable {
    /// The file's name in a workspace.
    public static let name = "tokens.json"

    public let url: URL

    private struct Content: Codable {
        var version = 1
        var tokens: [AccessToken] = []
    }

    public init(_ url: URL) {
        self.url = url
    }

    /// The tokens, in the order in which they were created; none if there is no file.
    ///
    /// - Throws: ``TokenFileError``.
    public func tokens() throws -> [AccessToken] {
        try content().tokens
    }

    /// - Throws: ``TokenFileError``, or `AtomicFileError`.
    public func add(_ token: AccessToken) throws {
        try change { $0.append(token) }
    }

    /// - Parameter name: The token's id, or its name if no other token has that name.
    /// - Returns: The revoked token.
    /// - Throws: ``TokenFileError``, or `AtomicFileError`.
    @discardableResult
    public func revoke(_ name: String) throws -> AccessToken {
        var revoked: [AccessToken] = []
        try change { tokens in
            revoked = tokens.filter { $0.id == name }
            if revoked.isEmpty { revoked = tokens.filter { $0.name.hasSameBytes(as: name) } }
            guard revoked.count <= 1 else { throw TokenFileError.ambiguous(name: name, ids: revoked.map(\.id)) }
            tokens.removeAll { $0.id == revoked.first?.id }
        }
        guard let token = revoked.first else { throw TokenFileError.unknownToken(name: name, file: url.path) }
        return token
    }

    /// Distinguishes one state of the file from another.
    struct Stamp: Equatable {
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    /// Nil if there is no file.
    func stamp() -> Stamp? {
        var status = stat()
        guard stat(url.path, &status) == 0 else { return nil }
        return Stamp(
            inode: UInt64(status.st_ino), size: Int64(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }

    private func content() throws -> Content {
        guard FileManager.default.fileExists(atPath: url.path) else { return Content() }
        do {
            let data = try Data(contentsOf: url)
            // Foundation's decoder accepts a member that appears twice, and does not say where a mistake is.
            _ = try JSONReader.read(Array(data))
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(Content.self, from: data)
        } catch let error where error is DecodingError || error is JSONReader.Mistake {
            throw TokenFileError.malformed(file: url.path, reason: "\(error)")
        } catch {
            throw TokenFileError.unreadable(file: url.path, reason: error.localizedDescription)
        }
    }

    private func change(_ body: (inout [AccessToken]) throws -> Void) throws {
        // The lock between processes ends with this one at the latest.
        let path = url.appendingPathExtension("lock").path
        let lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(lock) }
        guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
            throw TokenFileError.unreadable(file: path, reason: String(cString: strerror(errno)))
        }
        var content = try content()
        try body(&content.tokens)
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try AtomicFile.write(try encoder.encode(content), to: url.path, permissions: 0o600)
    }
}

/// Why tokens cannot be read or changed.
public enum TokenFileError: Error, Equatable, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case malformed(file: String, reason: String)
    case unknownToken(name: String, file: String)
    case ambiguous(name: String, ids: [String])

    public var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file): the tokens cannot be read (\(reason)): check the file's owner and permissions"
        case .malformed(let file, let reason):
            "\(file): not a file of tokens (\(reason)): correct it, or remove it and create the tokens again"
        case .unknownToken(let name, let file):
            "\(file): there is no token \"\(name)\": tributary token list shows all tokens"
        case .ambiguous(let name, let ids):
            "several tokens are named \"\(name)\": give the id of one: \(ids.joined(separator: ", "))"
        }
    }
}
