import Curvature
import Foundation
import Testing
import Transformer

@testable import Evaluation

@Suite("A comparison with the proximal Bregman response")
struct ResponseComparisonTests {
    private let tiny: TinySubject

    init() throws {
        tiny = try TinySubject()
    }

    private func run(
        _ estimators: [EstimatorKind] = [.ekfac, .identity, .tfidf], _ records: String = "records",
        sequences: Int = 6, iterations: Int = 20, copies: Double = 0.01, limit: Double? = nil,
        control: EvaluationControl = EvaluationControl()
    ) throws -> ResponseResult {
        var settings = ResponseComparison.Settings()
        settings.sequences = sequences
        settings.copies = copies
        settings.iterations = iterations
        settings.tolerance = 0.02
        settings.solving = TinySubject.solving(estimators)
        settings.seed = 3
        return try ResponseComparison(tiny.subject, TinySubject.queries, settings: settings).run(
            control.keeping(tiny.records(records), limit: limit))
    }

    @Test("finds responses of which conjugate gradients on all sequences are the linear part")
    func agreement() throws {
        let result = try run(sequences: 4, iterations: 60)
        #expect(result.sequences.count == 4)
        #expect(result.responses.map(\.count) == [4, 4])
        let subject = tiny.subject
        let exact = ConjugateGradients(
            subject.curvature, damping: subject.factors.damping(),
            preconditioner: KroneckerInverse(corrected: subject.factors), iterations: 100, tolerance: 1e-4)
        let rowids = try result.sequences.flatMap { try subject.corpus.rowids(named: [$0]) }
        let indices = rowids.compactMap { subject.rowids.firstIndex(of: $0) }
        #expect(indices.count == 4)
        let vectors = try exact.solve(
            TinySubject.queries.map {
                try Measurement($0, of: subject.checkpoint).gradient(of: subject.decoder, tracked: subject.tracked)
            }
        ).vectors
        let scores = try EstimatorSolver(subject, EstimatorSettings()).products(of: vectors, with: indices)
        for (scores, responses) in zip(scores, result.responses) {
            #expect(try #require(Correlation.pearson(scores, responses)) > 0.98)
            let slope = zip(scores, responses).reduce(0) { $0 + $1.0 * $1.1 } / scores.reduce(0) { $0 + $1 * $1 }
            #expect(abs(slope - 1) < 0.1, "the unit and the sign are those of a score: \(slope)")
        }
        #expect(result.residuals.allSatisfy { $0 <= 0.02 }, "\(result.residuals)")
    }

    @Test("goes on behind the responses that an earlier run has found")
    func resumption() throws {
        #expect(throws: EvaluationError.cancelled) { try run(control: EvaluationControl(isCancelled: { true })) }
        let whole = try run([.ekfac, .identity, .tfidf], "whole")
        let lines = try String(contentsOfFile: tiny.records("whole"), encoding: .utf8).split(separator: "\n")
        // The run's identity, six responses and three estimators; two responses and no estimator are kept.
        #expect(lines.count == 10)
        try lines.prefix(3).map { $0 + "\n" }.joined().write(
            toFile: tiny.records("cut"), atomically: true, encoding: .utf8)
        let stages = Stages()
        let resumed = try run([.ekfac, .identity, .tfidf], "cut", control: stages.control)
        #expect(resumed.responses == whole.responses)
        #expect(resumed.estimators.map(\.pearson) == whole.estimators.map(\.pearson))
        #expect(stages.names.contains("responses"))
        let again = Stages()
        #expect(try run([.ekfac, .identity, .tfidf], "cut", control: again.control).responses == whole.responses)
        #expect(again.names.isEmpty, "nothing is left to do")
        let fewer = try run([.ekfac], "cut", sequences: 4)
        #expect(fewer.sequences.count == 4 && fewer.responses[0].allSatisfy(whole.responses[0].contains))
    }

    @Test("puts estimators beside EK-FAC, and LiSSA in as many lengths as are wanted")
    func besideEKFAC() throws {
        var settings = ResponseComparison.Settings()
        settings.sequences = 5
        settings.copies = 0.01
        settings.iterations = 3
        settings.solving = TinySubject.solving([.ekfac, .identity, .lissa])
        settings.lissaIterations = [2, 12]
        let comparison = ResponseComparison(tiny.subject, TinySubject.queries, settings: settings)
        let result = try comparison.run(EvaluationControl().keeping(tiny.records("lengths")))
        #expect(result.estimators.map(\.name) == [.ekfac, .identity, .lissa, .lissa])
        #expect(result.estimators.map(\.label) == ["ekfac", "identity", "lissa (2)", "lissa (12)"])
        #expect(result.estimators[2].scores != result.estimators[3].scores)
        let ekfac = result.estimators[0]
        #expect(ekfac.pearsonAboveEKFAC == nil && ekfac.spearmanAboveEKFAC == nil)
        for other in result.estimators.dropFirst() {
            let (own, base) = (try #require(other.pearson), try #require(ekfac.pearson))
            let difference = try #require(other.pearsonAboveEKFAC)
            #expect(abs(difference.value - (own.value - base.value)) < 1e-12)
            #expect(difference.low <= difference.value && difference.value <= difference.high)
        }
        let again = Stages()
        settings.lissaIterations = [12]
        settings.solving.estimators = [.lissa]
        let one = try ResponseComparison(tiny.subject, TinySubject.queries, settings: settings).run(
            again.control.keeping(tiny.records("lengths")))
        #expect(again.names.isEmpty, "a length that is known is not found again")
        #expect(one.estimators.map(\.scores) == [result.estimators[3].scores])
        #expect(one.estimators[0].pearsonAboveEKFAC == nil, "EK-FAC is not among them")
    }

    @Test("refuses what takes longer than it may")
    func limit() throws {
        #expect {
            try run(limit: 1e-6)
        } throws: { error in
            guard case .tooLong(_, let seconds, let bytes, _)? = error as? EvaluationError else { return false }
            return seconds > 0 && bytes > 0
        }
    }

    @Test("is kept as JSON, and read as a page with its plots")
    func report() throws {
        let result = try run()
        let kept = try JSONDecoder().decode(ResponseResult.self, from: JSONEncoder().encode(result))
        #expect(kept.responses == result.responses && kept.estimators.map(\.name) == [.ekfac, .identity, .tfidf])
        let html = HTMLReport(result.report).html
        #expect(html.components(separatedBy: "<svg").count == 5, "two plots of bars and two of points")
        #expect(result.report.text.contains("EK-FAC's scores correlate"))
        #expect(result.report.text.contains("Inner products of gradients correlate"))
    }
}
