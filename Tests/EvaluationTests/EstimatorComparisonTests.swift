import Corpus
import Curvature
import Foundation
import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Evaluation

@Suite("A comparison of estimators")
struct EstimatorComparisonTests {
    private let folder: TemporaryFolder
    private let subject: EvaluationSubject

    init() throws {
        let oracle = Oracle.all[1]
        let checkpoint = try oracle.checkpoint()
        let tokenizer = checkpoint.tokenizer
        folder = try TemporaryFolder()
        let corpus = try CorpusStore(
            folder: URL(fileURLWithPath: folder.path),
            tokenization: CorpusTokenization(
                tokenizerDigest: tokenizer.digest, sequenceLength: 32, prefix: tokenizer.prefixTokens
            ) { tokenizer.encode($0, addSpecialTokens: false) })
        let lines = try oracle.texts().prefix(16).map { text in
            String(decoding: try JSONSerialization.data(withJSONObject: ["text": text]), as: UTF8.self)
        }
        try CorpusImport(into: corpus).run([
            .bytes(Array(lines.joined(separator: "\n").utf8), name: "texts", format: .jsonLines)
        ])
        let factors = try FactorFile.load(
            folder: oracle.factorFolder, for: checkpoint.decoder, modelDigest: checkpoint.digest)
        subject = try EvaluationSubject(
            name: "tiny", checkpoint: checkpoint, factors: factors, corpus: corpus, workers: Workers(count: 2))
    }

    private let questions = [
        EvaluationQuery(prompt: "In the beginning God created", completion: " the heaven")
    ]

    /// All but K-FAC: factors of another program do not say how many tokens they were fitted on.
    private static let estimators = EstimatorKind.allCases.filter { $0 != .kfac }

    private func comparison(
        _ estimators: [EstimatorKind] = estimators, limit: Double? = nil
    ) -> EstimatorComparison {
        var settings = EstimatorSettings()
        settings.estimators = estimators
        settings.candidates = 12
        settings.curvatureSequences = 3
        settings.conjugateGradientIterations = 3
        settings.lissaIterations = 3
        settings.astraIterations = 3
        settings.batchSize = 2
        return EstimatorComparison(subject, settings: settings, limit: limit)
    }

    @Test("has every pair of estimators, each one with itself alike")
    func report() throws {
        let report = try comparison().run(questions)
        #expect(report.estimators.map(\.name) == Self.estimators)
        #expect(report.queries.map(\.candidates) == [12])
        for table in [report.pearson, report.spearman] {
            for (row, values) in table.enumerated() {
                #expect(abs(try #require(values[row]) - 1) < 1e-9)
                for (column, value) in values.enumerated() {
                    #expect(abs(try #require(value) - (try #require(table[column][row]))) < 1e-9)
                    #expect(abs(try #require(value)) <= 1 + 1e-9)
                }
            }
        }
        let identity = try #require(Self.estimators.firstIndex(of: .identity))
        let cosine = try #require(Self.estimators.firstIndex(of: .cosine))
        #expect(try #require(report.pearson[identity][cosine]) < 0.9999, "lengths differ")
        for estimator in report.estimators {
            #expect((estimator.iterations != nil) == estimator.name.iterates)
        }
        let kept = try JSONDecoder().decode(EstimatorReport.self, from: JSONEncoder().encode(report))
        #expect(kept.pearson == report.pearson)
    }

    @Test("is the same whenever it is made")
    func reproducible() throws {
        let chosen: [EstimatorKind] = [.ekfac, .astra]
        #expect(try comparison(chosen).run(questions).pearson == comparison(chosen).run(questions).pearson)
    }

    @Test("refuses what takes longer than it may, unless nothing limits it")
    func limit() throws {
        #expect {
            try comparison([.ekfac, .lissa], limit: 1e-6).run(questions)
        } throws: { error in
            guard case .tooLong("lissa", let seconds, _, _)? = error as? EvaluationError else { return false }
            return seconds > 0 && "\(error)".contains("--anyway")
        }
        _ = try comparison([.ekfac], limit: 1e-6).run(questions)
    }

    @Test("names a query that cannot be asked")
    func unusable() {
        #expect(throws: EvaluationError.self) {
            try comparison([.identity]).run([EvaluationQuery(prompt: "a", completion: "")])
        }
    }

    @Test("ends when it is interrupted")
    func interruption() {
        #expect(throws: EvaluationError.cancelled) { try comparison().run(questions, control: EvaluationControl(isCancelled: { true })) }
    }
}
