import Foundation

/// The model that comes with Tributary, and the corpus it was trained on.
///
/// Both are package resources, in a folder beside the program; an installation can keep the folder under `../share/tributary`
/// instead. This type searches for it because `Bundle.module` would end the process if it found nothing.
enum EmbeddedDefault {
    static let name = "default"

    private static let resources = "tributary_tributary.resources"

    static func modelFolder() throws(EmbeddedDefaultError) -> URL { try resource("default/model") }

    /// The documents that the model was trained on, as compressed JSON lines.
    static func corpusFile() throws(EmbeddedDefaultError) -> URL { try resource("default/corpus.jsonl.gz") }

    private static func resource(_ path: String) throws(EmbeddedDefaultError) -> URL {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = program.deletingLastPathComponent()
        let candidates = [
            beside.appending(path: resources), beside.appending(path: "../share/tributary/\(resources)").standardized,
        ].map { $0.appending(path: path) }
        guard let found = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw .missing(looked: candidates.map(\.path))
        }
        return found
    }
}

enum EmbeddedDefaultError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case missing(looked: [String])

    var description: String {
        switch self {
        case .missing(let looked):
            "the embedded model is not installed: there is neither \(looked.joined(separator: " nor ")). Copy the folder "
                + "of resources from the build beside the program, or name a model with --model."
        }
    }

    var errorDescription: String? { description }
}
