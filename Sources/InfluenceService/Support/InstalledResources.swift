import Foundation

/// The files that the package brings along: they stand beside the program, or under `../share/tributary` in an installation.
enum InstalledResources {
    private static let folder = "tributary_InfluenceService.resources"

    /// - Parameter purpose: What the file or folder is for, as people call it.
    /// - Throws: ``ResourceError``.
    static func place(of name: String, for purpose: String) throws(ResourceError) -> URL {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = program.deletingLastPathComponent()
        let places = [
            beside.appending(path: folder), beside.appending(path: "../share/tributary/\(folder)").standardized,
        ]
        .map { $0.appending(path: name) }
        guard let place = places.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw .missing(purpose, looked: places.map(\.path))
        }
        return place
    }
}

/// Why something that the package brings along cannot be used.
enum ResourceError: Error, Equatable, CustomStringConvertible {
    case missing(_ purpose: String, looked: [String])

    var description: String {
        switch self {
        case .missing(let purpose, let looked):
            "\(purpose) is not installed: there is neither \(looked.joined(separator: " nor ")). Copy the folders of "
                + "resources from the build beside the program; the API answers without them."
        }
    }
}
