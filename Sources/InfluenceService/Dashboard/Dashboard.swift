import Digest
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

    private static let resources = "tributary_InfluenceService.resources"
    private static let folder = "Resources"
    private static let pageName = "index.html"
    /// Stands in the page for the version.
    private static let versionMark = "VERSION"

    /// Reads the resources that stand beside the program, or under `../share/tributary` in an installation.
    ///
    /// - Throws: ``DashboardError`` if they are not there or are not complete.
    static func installed() throws -> Dashboard {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = program.deletingLastPathComponent()
        let places = [
            beside.appending(path: resources), beside.appending(path: "../share/tributary/\(resources)").standardized,
        ].map { $0.appending(path: folder) }
        guard let place = places.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw DashboardError.missing(looked: places.map(\.path))
        }
        return try Dashboard(folder: place)
    }

    /// - Throws: ``DashboardError``, or what reading the folder's files throws.
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
        guard let page else { throw DashboardError.missing(looked: [folder.appending(path: Self.pageName).path]) }
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

/// Why there is no dashboard.
enum DashboardError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case missing(looked: [String])

    var description: String {
        switch self {
        case .missing(let looked):
            "the dashboard is not installed: there is neither \(looked.joined(separator: " nor ")). Copy the folders of "
                + "resources from the build beside the program; the API answers without them."
        }
    }

    var errorDescription: String? { description }
}
