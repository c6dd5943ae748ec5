import Files
import Foundation

/// The pages that people look at, as the package's resources hold them.
///
/// All of it is plain HTML, CSS and JavaScript modules in one folder, read once. The parts stand at addresses that name their
/// contents, so that a browser fetches them once and a new version never meets parts of an old one.
struct Dashboard: Sendable {
    /// A file of the dashboard.
    struct Part: Sendable {
        var bytes: [UInt8]
        var mediaType: String

        /// All of it is text.
        var contentType: String { "\(mediaType); charset=utf-8" }
    }

    /// Names the contents of all parts.
    let version: String
    /// The page at the root. It names its parts by their addresses.
    let page: Part
    /// What the page is made of, by name.
    let parts: [String: Part]

    private static let purpose = "the dashboard"
    private static let pageName = "index.html"
    /// Stands in the page for the version.
    private static let versionMark = "VERSION"

    /// - Throws: ``ResourceError`` if its files are not there or are not complete.
    static func installed() throws -> Dashboard {
        try Dashboard(folder: InstalledResources.place(of: "Resources", for: purpose))
    }

    /// - Throws: ``ResourceError``, or what reading the folder's files throws.
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
