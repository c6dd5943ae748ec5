import Attribution
import Corpus
import Curvature
import Foundation
import LinearAlgebra
import TestScratch
import Transformer

public typealias TemporaryFolder = TestScratch.TemporaryFolder

/// An engine of a tiny model with a corpus of short texts, each one sequence.
public final class TinyEngine: Sendable {
    public let engine: InfluenceEngine
    public let texts: [String]
    /// Removed, with the corpus, when the test releases it.
    public let folder: TemporaryFolder
    public let indexFile: String
    private let makeEngine: @Sendable (IndexAvailability, SweepPrecision) -> InfluenceEngine

    /// - Parameters:
    ///   - count: How many texts the corpus has: `text-0` and so on, of sources `even` and `odd`, with their number as metadata.
    ///   - isReversed: Whether the texts are imported from the last to the first.
    ///   - index: If given, there is an index of this layout, without sequences.
    ///   - batchTokens: The most tokens of a micro-batch; 1 makes a micro-batch of each sequence.
    ///   - chatTemplate: If given, the model has this chat template.
    ///   - change: Changes the factors of each layer, by its number.
    public init(
        texts count: Int = 60, isReversed: Bool = false, sequenceLength: Int = 128, index: SketchLayout? = nil,
        workers: Int = 2, batchTokens: Int = 1_024, chatTemplate: String? = nil,
        change: (_ layer: Int, inout LayerFactors) -> Void = { _, _ in }
    ) throws {
        let oracle = Oracle.all[1]
        folder = try TemporaryFolder()
        let checkpoint: Checkpoint
        if let chatTemplate {
            let model = folder.path("model")
            try FileManager.default.copyItem(atPath: oracle.modelFolder, toPath: model)
            try Data(chatTemplate.utf8).write(to: URL(fileURLWithPath: model + "/chat_template.jinja"))
            checkpoint = try Checkpoint(folder: model)
        } else {
            checkpoint = try oracle.checkpoint()
        }
        let tokenizer = checkpoint.tokenizer
        texts = Array(try oracle.texts().filter { tokenizer.encode($0).count <= sequenceLength }.prefix(count))
        let corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path),
            tokenization: CorpusTokenization(tokenizer, sequenceLength: sequenceLength))
        let lines = try texts.enumerated().map { index, text in
            let fields: [String: Any] = [
                "id": "text-\(index)", "text": text, "source": index % 2 == 0 ? "even" : "odd",
                "metadata": ["number": index],
            ]
            return String(decoding: try JSONSerialization.data(withJSONObject: fields), as: UTF8.self)
        }
        if !lines.isEmpty {
            try CorpusImport(into: corpus).run([
                .bytes(
                    Array((isReversed ? lines.reversed() : lines).joined(separator: "\n").utf8), name: "texts",
                    format: .jsonLines)
            ])
        }
        let loaded = try FactorFile.load(
            folder: oracle.factorFolder, for: checkpoint.decoder, modelDigest: checkpoint.digest)
        var layers = loaded.layers
        for layer in layers.indices { change(layer, &layers[layer]) }
        let factors = EKFACFactors(tracked: loaded.tracked, layers: layers, provenance: loaded.provenance)
        let indexFile = folder.path("gradients.index")
        let built = try index.map {
            try GradientIndex.create(path: indexFile, layout: $0, modelDigest: checkpoint.digest, factors: factors)
        }
        self.indexFile = indexFile
        makeEngine = { index, precision in
            InfluenceEngine(
                name: "tiny", checkpoint: checkpoint, factors: factors, corpus: corpus, index: index,
                precision: precision, workers: Workers(count: workers), batchTokens: batchTokens,
                astra: .init(iterations: 6, batchSize: 3, step: 0.02))
        }
        engine = makeEngine(built.map { .ready($0) } ?? .missing, .float32)
    }

    /// An engine of the same model and corpus with another index.
    public func engine(with index: GradientIndex) -> InfluenceEngine { makeEngine(.ready(index), .float32) }

    /// An engine of the same model and corpus that sweeps in another precision.
    public func engine(in precision: SweepPrecision) -> InfluenceEngine { makeEngine(engine.index, precision) }

    /// Answers one query that nobody cancels.
    public func answer(_ query: InfluenceQuery) throws -> InfluenceResult {
        try engine.answer([query])[0].get()
    }

    /// Asks about every sequence of the corpus.
    public static func query(_ completion: String = " the heaven and the earth.", rescore: Int = 10) -> InfluenceQuery {
        InfluenceQuery(
            prompt: "In the beginning God created", completion: completion, topK: 100, direction: .both,
            candidates: CandidateSelection(prefilter: .all), rescore: rescore)
    }
}
