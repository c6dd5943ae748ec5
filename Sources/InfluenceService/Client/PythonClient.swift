import Files
import Foundation
import HTTP
import HTTPTypes

/// The client for Python that the service gives to everyone, one file that needs nothing but Python.
struct PythonClient: Sendable {
    let source: [UInt8]
    private let tag: EntityTag

    /// - Throws: ``ResourceError``, or what reading the file throws.
    static func installed() throws -> PythonClient {
        PythonClient(
            source: Array(
                try Data(contentsOf: InstalledResources.place(of: "client.py", for: "the client for Python"))))
    }

    init(source: [UInt8]) {
        self.source = source
        var digest = ContentDigest()
        digest.update(source)
        tag = EntityTag(String(digest.hexadecimal.prefix(16)))
    }

    /// The file. It is asked for anew each time, and answered with 304 while it is the same.
    fileprivate func response(to request: Request) -> Response {
        let headers: HTTPFields = [.cacheControl: "no-cache", .xContentTypeOptions: "nosniff"]
        if let response = request.notModified(tag, headers: headers) { return response }
        var answer = headers
        answer[.eTag] = tag.description
        return Response(contentType: "\(Self.mediaType); charset=utf-8", body: source, headers: answer)
    }

    fileprivate static let mediaType = "text/x-python"
}
