import Files
import Foundation
import HTTP
import HTTPTypes

/// The dashboard: HTML, CSS and JavaScript modules of one folder among the package's resources, which are read once.
///
/// The addresses of the parts contain a digest of all contents, so a browser fetches each part only once, and never mixes parts of two
/// versions.
struct Dashboard: Sendable {
    struct Part: Sendable {
        var bytes: [UInt8]
        var mediaType: String

        /// All of it is text.
        var contentType: String { "\(mediaType); charset=utf-8" }
    }

    let version: String
    let page: Part
    let parts: [String: Part]

    private static let purpose = "the dashboard"
    private static let pageName = "index.html"
    private static let versionMark = "VERSION"

    static func installed() throws -> Dashboard {
        try Dashboard(folder: InstalledResources.location(of: "Resources", for: purpose))
    }

    /// - Throws: ``ResourceError``, or the errors of reading the files.
    init(folder: URL) throws {
        var parts: [String: Part] = [:]
        var page: String?
        var digest = ContentDigest()
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        for name in names {
            let data = try Data(contentsOf: folder.appending(path: name))
            digest.update(UInt64(name.utf8.count))
            digest.update(name)
            digest.update(UInt64(data.count))
            digest.update(Array(data))
            if name == Self.pageName {
                page = String(decoding: data, as: UTF8.self)
            } else if let mediaType = Self.mediaType(of: name) {
                parts[name] = Part(bytes: Array(data), mediaType: mediaType)
            }
        }
        guard let page else {
            throw ResourceError.missing(Self.purpose, looked: [folder.appending(path: Self.pageName).path])
        }
        version = String(digest.hexadecimal.prefix(16))
        self.parts = parts
        self.page = Part(
            bytes: Array(page.replacing(Self.versionMark, with: version).utf8), mediaType: "text/html")
    }

    private static func mediaType(of name: String) -> String? {
        switch URL(fileURLWithPath: name).pathExtension {
        case "js": "text/javascript"
        case "css": "text/css"
        case "svg": "image/svg+xml"
        default: nil
        }
    }
}

extension Dashboard {
    /// The pages can only fetch from this server, and only run the dashboard's own modules.
    static let contentSecurityPolicy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    /// The page. Browsers revalidate it each time, and get 304 while it is unchanged.
    func pageResponse(to request: Request) -> Response {
        let headers: HTTPFields = [
            .cacheControl: "no-cache", .vary: "Accept", .contentSecurityPolicy: Self.contentSecurityPolicy,
            .xContentTypeOptions: "nosniff",
        ]
        return response(page, to: request, headers)
    }

    /// A part, which never changes because its address contains the version. Nil if there is no such part or version.
    func partResponse(to request: Request) -> Response? {
        guard request.parameters["version"] == version, let part = request.parameters["name"].flatMap({ parts[$0] })
        else { return nil }
        return response(
            part, to: request,
            [
                .cacheControl: "public, max-age=31536000, immutable", .xContentTypeOptions: "nosniff",
                // An image that is opened directly is a document of its own.
                .contentSecurityPolicy: Self.contentSecurityPolicy,
            ])
    }

    private func response(_ part: Part, to request: Request, _ headers: HTTPFields) -> Response {
        request.response(part.bytes, contentType: part.contentType, tag: EntityTag(version), headers: headers)
    }
}
