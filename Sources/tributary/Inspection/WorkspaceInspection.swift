import Corpus
import Curvature
import Foundation

/// The contents of a workspace folder, read without opening it for use: another process can have it open.
struct WorkspaceInspection: Sendable, Encodable {
    struct CorpusContents: Sendable, Encodable {
        let documents: Int
        let sequences: Int
        let tokens: Int
        let duplicates: Int
        /// The most tokens in a sequence.
        let sequenceLength: Int
        let tokenizerDigest: String

        var load: CorpusLoad { CorpusLoad(sequences: sequences, tokens: tokens) }
    }

    struct Factors: Sendable, Encodable {
        let provenance: FactorProvenance?
        let layers: Int
        /// The bytes of all files.
        let fileBytes: Int
    }

    let folder: String
    /// `nil` if nothing was imported.
    let corpus: CorpusContents?
    /// `nil` if none were fitted.
    let factors: Factors?
    /// Whether an interrupted fit can continue.
    let hasFitState: Bool
    /// The bytes of jobs and their results; `nil` if no server has run.
    let jobBytes: Int?
    let checkpoints: Int

    /// - Throws: ``CorpusError`` or ``SafetensorsError`` for a file that cannot be read.
    init(folder: URL) throws {
        self.folder = folder.path
        func bytes(_ name: String) -> Int? {
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder.appending(path: name).path)
            return (attributes?[.size] as? NSNumber)?.intValue
        }
        func contents(_ name: String) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: name).path)) ?? []
        }
        corpus = try Self.corpus(in: folder)
        let factorFolder = folder.appending(path: "factors").path
        if FactorFile.exists(at: factorFolder) {
            let (provenance, layers) = try FactorFile.inspect(folder: factorFolder)
            factors = Factors(
                provenance: provenance, layers: layers,
                fileBytes: contents("factors").reduce(0) { $0 + (bytes("factors/\($1)") ?? 0) })
        } else {
            factors = nil
        }
        hasFitState = bytes("fit-state.safetensors") != nil
        jobBytes = bytes("jobs.sqlite")
        checkpoints = contents("checkpoints").count
    }

    /// Whether a folder is a workspace, and not a model.
    static func isWorkspace(_ folder: URL) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let isModel = names.contains { $0 == "config.json" || $0.hasSuffix(".gguf") }
        let ours: Set<String> = [CorpusStore.fileName, "factors", "fit-state.safetensors", "jobs.sqlite"]
        return !isModel && names.contains { ours.contains($0) }
    }

    private static func corpus(in folder: URL) throws -> CorpusContents? {
        do {
            let (tokenization, statistics) = try CorpusStore.inspect(folder: folder)
            return CorpusContents(
                documents: statistics.documents, sequences: statistics.sequences, tokens: statistics.tokens,
                duplicates: statistics.duplicates, sequenceLength: tokenization.sequenceLength,
                tokenizerDigest: tokenization.tokenizerDigest)
        } catch CorpusError.missing {
            return nil
        }
    }
}
