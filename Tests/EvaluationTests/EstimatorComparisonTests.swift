import Curvature
import Foundation
import Testing
import Transformer

@testable import Evaluation

@Suite("A comparison of estimators")
struct EstimatorComparisonTests {
    private let tiny: TinySubject

    init() throws {
        tiny = try TinySubject()
    }

    private let questions = Array(TinySubject.queries.prefix(1))

    private func run(
        _ estimators: [EstimatorKind] = TinySubject.estimators, _ records: String = "records", limit: Double? = nil,
        queries: [EvaluationQuery]? = nil, control: EvaluationControl = EvaluationControl()
    ) throws -> EstimatorReport {
        try EstimatorComparison(tiny.subject, queries ?? questions, settings: TinySubject.solving(estimators)).run(
            control.keeping(tiny.records(records), limit: limit))
    }

    @Test("has every pair of estimators, each one with itself alike")
    func report() throws {
        let report = try run()
        #expect(report.estimators.map(\.name) == TinySubject.estimators)
        #expect(report.queries.map(\.candidates) == [12])
        for table in [report.pearson, report.spearman] {
            for (row, values) in table.enumerated() {
                #expect(abs(try #require(values[row]).value - 1) < 1e-9)
                for (column, value) in values.enumerated() {
                    let value = try #require(value)
                    #expect(value == table[column][row])
                    #expect(value.low <= value.value + 1e-9 && value.value <= value.high + 1e-9)
                    #expect(abs(value.value) <= 1 + 1e-9)
                }
            }
        }
        let identity = try #require(TinySubject.estimators.firstIndex(of: .identity))
        let cosine = try #require(TinySubject.estimators.firstIndex(of: .cosine))
        #expect(try #require(report.pearson[identity][cosine]).value < 0.9999, "lengths differ")
        for estimator in report.estimators {
            #expect((estimator.iterations != nil) == estimator.name.iterates)
        }
        let kept = try JSONDecoder().decode(EstimatorReport.self, from: JSONEncoder().encode(report))
        #expect(kept.pearson == report.pearson)
        #expect(HTMLReport(report.report).html.contains("conjugate_gradients"))
    }

    @Test("is the same whenever it is made")
    func reproducible() throws {
        let chosen: [EstimatorKind] = [.ekfac, .astra]
        #expect(try run(chosen, "first").pearson == run(chosen, "second").pearson)
    }

    @Test("goes on behind the estimators that an earlier run has finished")
    func resumption() throws {
        _ = try run([.ekfac, .identity])
        let stages = Stages()
        let report = try run([.ekfac, .identity, .lissa], control: stages.control)
        #expect(report.estimators.map(\.name) == [.ekfac, .identity, .lissa])
        #expect(stages.names == ["lissa"])
        #expect(report.pearson == (try run([.ekfac, .identity, .lissa], "anew").pearson))
        #expect(throws: RunRecordsError.self) { try run(queries: TinySubject.queries) }
    }

    @Test("refuses what takes longer than it may, unless nothing limits it")
    func limit() throws {
        #expect {
            try run([.ekfac, .lissa], limit: 1e-6)
        } throws: { error in
            guard case .tooLong("lissa", let seconds, _, _)? = error as? EvaluationError else { return false }
            return seconds > 0 && "\(error)".contains("--anyway")
        }
        _ = try run([.ekfac], limit: 1e-6)
    }

    @Test("names a query that cannot be asked")
    func unusable() {
        #expect(throws: EvaluationError.self) {
            try run([.identity], queries: [EvaluationQuery(prompt: "a", completion: "")])
        }
    }

    @Test("names a sequence whose score is not finite")
    func overflow() throws {
        let subject = tiny.subject
        var vector = ParameterVector(normalOf: subject.tracked, seed: 1)
        vector.scale(by: .infinity)
        let name = try #require(try subject.identifiers([2]).first)
        #expect(throws: EvaluationError.notFinite(sequence: name)) {
            try EstimatorSolver(subject, EstimatorSettings()).products(of: [vector], with: [2])
        }
    }

    @Test("ends when it is interrupted")
    func interruption() {
        #expect(throws: EvaluationError.cancelled) { try run(control: EvaluationControl(isCancelled: { true })) }
    }
}
