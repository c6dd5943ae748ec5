import Attribution
import Corpus
import Curvature
import Foundation
import LinearAlgebra
import TestSupport
import Transformer

@testable import Evaluation

/// A tiny model with its factors, and a corpus of a few sequences in a temporary folder.
struct TinySubject {
    let folder: TemporaryFolder
    let subject: EvaluationSubject

    /// - Parameter identifiers: Of the sequences; by default they are named by their content.
    init(sequences: Int = 16, identifiers: (Int) -> String? = { _ in nil }) throws {
        let oracle = Oracle.all[1]
        let checkpoint = try oracle.checkpoint()
        let tokenizer = checkpoint.tokenizer
        folder = try TemporaryFolder()
        let corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path),
            tokenization: CorpusTokenization(tokenizer, sequenceLength: 32))
        let lines = try oracle.texts().prefix(sequences).enumerated().map { number, text in
            var record = ["text": text]
            record["id"] = identifiers(number)
            return String(decoding: try JSONSerialization.data(withJSONObject: record), as: UTF8.self)
        }
        try CorpusImport(into: corpus).run([
            .bytes(Array(lines.joined(separator: "\n").utf8), name: "texts", format: .jsonLines)
        ])
        let factors = try FactorFile.load(
            folder: oracle.factorFolder, for: checkpoint.decoder, modelDigest: checkpoint.digest)
        subject = try EvaluationSubject(
            name: "tiny", checkpoint: checkpoint, factors: factors, corpus: corpus, workers: Workers(count: 2))
    }

    /// A file of its own for the records of a run.
    func records(_ name: String = "records") -> String { "\(folder.path)/\(name).jsonl" }

    static let queries = [
        EvaluationQuery(prompt: "In the beginning God created", completion: " the heaven"),
        EvaluationQuery(prompt: "And God said, Let there be", completion: " light"),
    ]

    /// All but K-FAC: factors of another program do not say how many tokens they were fitted on.
    static let estimators = EstimatorKind.allCases.filter { $0 != .kfac }

    /// Few and short iterations.
    static func solving(_ estimators: [EstimatorKind] = estimators) -> EstimatorSettings {
        var settings = EstimatorSettings()
        settings.estimators = estimators
        settings.candidates = 12
        settings.curvatureSequences = 3
        settings.conjugateGradientIterations = 3
        settings.lissaIterations = 3
        settings.astraIterations = 3
        settings.batchSize = 2
        return settings
    }
}
