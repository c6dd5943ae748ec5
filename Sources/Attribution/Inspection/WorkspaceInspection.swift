import Corpus
import Curvature
import Foundation
import Transformer

/// What is in a workspace folder, found without opening it for use: another process may hold it.
public struct WorkspaceInspection: Sendable, Encodable {
    public struct CorpusContents: Sendable, Encodable {
        public let documents: Int
        public let sequences: Int
        public let tokens: Int
        public let duplicates: Int
        /// The most tokens of a sequence.
        public let sequenceLength: Int
        public let tokenizerDigest: String

        enum CodingKeys: String, CodingKey {
            case documents, sequences, tokens, duplicates
            case sequenceLength = "sequence_length"
            case tokenizerDigest = "tokenizer_digest"
        }

        public var load: CorpusLoad { CorpusLoad(sequences: sequences, tokens: tokens) }
    }

    public struct Factors: Sendable, Encodable {
        public let provenance: FactorProvenance?
        public let layers: Int
        /// Bytes of all files.
        public let fileBytes: Int

        enum CodingKeys: String, CodingKey {
            case provenance, layers
            case fileBytes = "file_bytes"
        }
    }

    public let folder: String
    /// nil where nothing was imported.
    public let corpus: CorpusContents?
    /// nil where none were fitted.
    public let factors: Factors?
    /// Whether an interrupted fit can be gone on with.
    public let hasFitState: Bool
    /// Bytes of jobs and their results; nil where no server ran.
    public let jobBytes: Int?
    public let checkpointCount: Int

    enum CodingKeys: String, CodingKey {
        case folder, corpus, factors
        case hasFitState = "has_fit_state"
        case jobBytes = "job_bytes"
        case checkpointCount = "checkpoints"
    }

    /// Inspects a workspace.
    ///
    /// - Throws: ``CorpusError`` or ``SafetensorsError`` for what is there but cannot be read.
    public init(folder: URL) throws {
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
        checkpointCount = contents("checkpoints").count
    }

    /// Whether a folder is a workspace and not a model.
    public static func isWorkspace(_ folder: URL) -> Bool {
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
