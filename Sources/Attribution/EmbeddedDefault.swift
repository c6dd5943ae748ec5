import Foundation

/// The model that comes with Tributary, and the corpus it was trained on.
///
/// Both are package resources, a folder that stands beside the program; an installation may keep it under `../share/tributary`
/// instead. It is looked for here rather than through `Bundle.module`, which ends the process where it finds nothing.
public enum EmbeddedDefault {
    /// What the model is called in results and in the names of folders.
    public static let name = "default"

    private static let resources = "tributary_Attribution.resources"

    /// The checkpoint folder.
    ///
    /// - Throws: ``EmbeddedDefaultError`` if it is not there.
    public static func modelFolder() throws(EmbeddedDefaultError) -> URL { try resource("default/model") }

    /// The documents that the model was trained on, as compressed JSON lines.
    ///
    /// - Throws: ``EmbeddedDefaultError`` if they are not there.
    public static func corpusFile() throws(EmbeddedDefaultError) -> URL { try resource("default/corpus.jsonl.gz") }

    private static func resource(_ path: String) throws(EmbeddedDefaultError) -> URL {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = program.deletingLastPathComponent()
        let places = [
            beside.appending(path: resources), beside.appending(path: "../share/tributary/\(resources)").standardized,
        ].map { $0.appending(path: path) }
        guard let place = places.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw .missing(looked: places.map(\.path))
        }
        return place
    }
}

/// Why the embedded model or its corpus cannot be used.
public enum EmbeddedDefaultError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case missing(looked: [String])

    public var description: String {
        switch self {
        case .missing(let looked):
            "the embedded model is not installed: there is neither \(looked.joined(separator: " nor ")). Copy the folder "
                + "of resources from the build beside the program, or name a model with --model."
        }
    }

    public var errorDescription: String? { description }
}
