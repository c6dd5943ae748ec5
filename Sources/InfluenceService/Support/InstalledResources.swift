import Files
import Foundation

/// The service's resource files.
enum InstalledResources {
    private static let folder = "tributary_InfluenceService.resources"

    /// The location of a file or folder.
    ///
    /// - Parameter purpose: What it is for, in errors.
    /// - Throws: ``ResourceError``.
    static func location(of name: String, for purpose: String) throws(ResourceError) -> URL {
        let locations = FileSystem.resourceLocations(of: name, in: folder)
        guard let location = locations.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw .missing(purpose, looked: locations.map(\.path))
        }
        return location
    }
}

/// Why a resource of the package cannot be used.
enum ResourceError: Error, Equatable, CustomStringConvertible {
    case missing(_ purpose: String, looked: [String])

    var description: String {
        switch self {
        case .missing(let purpose, let looked):
            "\(purpose) is not installed: there is neither \(looked.joined(separator: " nor ")). Copy the resource folders of "
                + "the build beside the program; the API works without them."
        }
    }
}
