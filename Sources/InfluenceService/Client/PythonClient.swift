import Files
import Foundation
import HTTP
import HTTPTypes

/// The client for Python: one file that needs only Python's standard library. Clients can fetch it without a token.
struct PythonClient: Sendable {
    let source: [UInt8]
    private let tag: EntityTag

    /// - Throws: ``ResourceError``, or the errors of reading the file.
    static func installed() throws -> PythonClient {
        PythonClient(
            source: Array(
                try Data(contentsOf: InstalledResources.location(of: "client.py", for: "the client for Python"))))
    }

    init(source: [UInt8]) {
        self.source = source
        var digest = ContentDigest()
        digest.update(source)
        tag = EntityTag(String(digest.hexadecimal.prefix(16)))
    }

    /// The file. Clients revalidate it each time, and get 304 while it is unchanged.
    func response(to request: Request) -> Response {
        request.response(
            source, contentType: "\(Self.mediaType); charset=utf-8", tag: tag,
            headers: [.cacheControl: "no-cache", .xContentTypeOptions: "nosniff"])
    }

    static let mediaType = "text/x-python"
}
