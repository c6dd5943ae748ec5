import Attribution
import Corpus
import Curvature
import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Tokenizer
import Transformer

@testable import Evaluation

/// A model that was trained on a few sentences in a second, with its corpus, factors and recipe, in a temporary folder.
struct TrainedSubject {
    let folder: TemporaryFolder
    let subject: EvaluationSubject

    private static let names = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ivy", "jim", "kay", "lou"]
    private static let places = ["rome", "oslo", "bonn", "lima", "kiev", "bern"]

    /// Of each name, where it lives, said three times.
    static var texts: [String] {
        names.enumerated().flatMap { index, name in
            let place = places[index % places.count]
            return [
                "\(name) lives in \(place)", "the home of \(name) is \(place)", "in \(place) you will find \(name)",
            ]
        }
    }

    static let queries = [
        EvaluationQuery(prompt: "ada lives in", completion: " rome"),
        EvaluationQuery(prompt: "the home of bob is", completion: " oslo"),
    ]

    init() throws {
        folder = try TemporaryFolder()
        let path = folder.path + "/model"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var settings = TrainingConfiguration()
        settings.vocabulary = 300
        settings.sequenceLength = 24
        settings.width = 16
        settings.layers = 2
        settings.heads = 2
        settings.keyValueHeads = 1
        settings.feedForwardWidth = 32
        settings.batchSequences = 6
        settings.epochs = 10
        settings.learningRate = 0.01
        let tokenizer = try BytePairTrainer(vocabularyCount: settings.vocabulary).train(on: Self.texts)
        try tokenizer.write(to: URL(fileURLWithPath: path))
        let end = tokenizer.eosToken.map { [$0] } ?? []
        let sequences = Self.texts.map {
            TrainingSequence(tokens: tokenizer.encode($0, addSpecialTokens: false) + end)
        }
        let recipe = RetrainingRecipe(settings: settings, sequences: sequences)
        let decoder = try recipe.train(on: Array(sequences.indices))
        try Checkpoint.write(decoder, to: path, format: .float32, endOfText: tokenizer.eosToken)
        try TrainingRecord(
            settings: settings, parameters: decoder.parameterCount, documents: sequences.count,
            sequences: sequences.count, tokens: 0, steps: 0, trainingLoss: 0, heldOutLoss: nil
        ).write(to: path)
        let checkpoint = try Checkpoint(folder: path)
        let corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path),
            tokenization: CorpusTokenization(checkpoint.tokenizer, sequenceLength: settings.sequenceLength))
        let lines = try Self.texts.map {
            String(decoding: try JSONSerialization.data(withJSONObject: ["text": $0]), as: UTF8.self)
        }
        try CorpusImport(into: corpus).run([
            .bytes(Array(lines.joined(separator: "\n").utf8), name: "texts", format: .jsonLines)
        ])
        let rowids = try corpus.rowids()
        let factors = try FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest,
            source: FactorFit.Source(count: rowids.count, digest: try corpus.digest()) { range in
                try corpus.tokens(rowids: Array(rowids[range]))
            }, seed: 1, workers: Workers(count: 1)
        ).run()
        subject = try EvaluationSubject(
            name: "names", checkpoint: checkpoint, factors: factors, corpus: corpus, workers: Workers(count: 2))
    }

    func records(_ name: String = "records") -> String { "\(folder.path)/\(name).jsonl" }
}
