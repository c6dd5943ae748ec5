import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Testing
import Transformer

@testable import Evaluation

@Suite("Retraining")
struct RetrainingTests {
    private let trained: TrainedSubject
    private var subject: EvaluationSubject { trained.subject }

    init() throws {
        trained = try TrainedSubject()
    }

    private func datamodeling(
        _ records: String = "lds", subsets: Int = 6, estimators: [EstimatorKind] = [.ekfac, .identity, .tfidf],
        seed: UInt64 = 3, given: [GivenScores] = [], limit: Double? = nil,
        control: EvaluationControl = EvaluationControl()
    ) throws -> DatamodelingResult {
        var settings = LinearDatamodeling.Settings()
        settings.subsets = subsets
        settings.estimators = estimators
        settings.seed = seed
        return try LinearDatamodeling(subject, TrainedSubject.queries, given: given, settings: settings).run(
            control.keeping(trained.records(records), limit: limit))
    }

    @Test("by the recipe on the whole corpus makes the model that the recipe made")
    func recipe() throws {
        let recipe = try RetrainingRecipe(of: subject)
        let decoder = try recipe.train(on: Array(subject.rowids.indices))
        #expect(try decoder.contentDigest() == subject.checkpoint.digest)
        let other = try recipe.train(on: Array(subject.rowids.indices), seed: 99)
        #expect(try other.contentDigest() != subject.checkpoint.digest)
    }

    @Test("takes half of the sequences, other ones each time, the same for the same seed")
    func subsets() {
        let subsets = TrainingSubsets(of: 101, count: 20, share: 0.5, seed: 1)
        #expect(subsets.indices.allSatisfy { $0.count == 51 && Set($0).count == 51 && $0 == $0.sorted() })
        #expect(Set(subsets.indices).count == 20)
        #expect(subsets == TrainingSubsets(of: 101, count: 20, share: 0.5, seed: 1))
        #expect(subsets != TrainingSubsets(of: 101, count: 20, share: 0.5, seed: 2))
        // The first few are those of a longer run: it can be extended.
        #expect(TrainingSubsets(of: 101, count: 5, share: 0.5, seed: 1).indices == Array(subsets.indices.prefix(5)))
    }

    @Test("shows which scores predict what models say: those that are the truth do wholly")
    func datamodelingScores() throws {
        let first = try datamodeling()
        #expect(first.estimators.map(\.name) == ["ekfac", "identity", "tfidf", "random"])
        #expect(first.actual.count == 6 && first.actual.allSatisfy { $0.count == 2 })
        #expect(first.actual.allSatisfy { $0.allSatisfy { $0 < 0 && $0.isFinite } })
        for estimator in first.estimators {
            let score = try #require(estimator.score)
            #expect(abs(score.value) <= 1 && score.low <= score.high)
        }
        // Least squares would find scores whose sums are the log-probabilities; with as many sequences as this, differences of
        // log-probabilities themselves can be written as such sums.
        let subsets = TrainingSubsets(of: subject.rowids.count, count: 6, share: 0.5, seed: 3)
        let perfect = try scores(summing: first.actual, over: subsets)
        let judged = try datamodeling(given: [GivenScores(name: "perfect", scores: perfect)])
        let found = try #require(judged.estimators.last)
        #expect(found.name == "perfect")
        #expect(try #require(found.score).value > 0.999)
        #expect(try #require(found.aboveEKFAC).value > 0)
        #expect(judged.report.text.contains("perfect"))
        #expect(HTMLReport(judged.report).html.contains("perfect"))
    }

    /// Scores whose sums over the subsets are the given values, by Kaczmarz's projections.
    private func scores(summing values: [[Double]], over subsets: TrainingSubsets) throws -> [[Double]] {
        TrainedSubject.queries.indices.map { query in
            var scores = [Double](repeating: 0, count: subject.rowids.count)
            for _ in 0..<2_000 {
                for (indices, row) in zip(subsets.indices, values) {
                    let missing = (row[query] - indices.reduce(0) { $0 + scores[$1] }) / Double(indices.count)
                    for index in indices { scores[index] += missing }
                }
            }
            return scores
        }
    }

    @Test("goes on behind the models that an interrupted run has finished, and finds the same")
    func resumption() throws {
        let whole = try datamodeling("whole")
        let stages = Stages()
        var steps = 0
        let recipe = try RetrainingRecipe(of: subject)
        let enough = 2 * recipe.steps(on: subject.rowids.count / 2) + 3
        let interruption = Interrupter(after: enough)
        #expect(throws: EvaluationError.cancelled) { try datamodeling("parts", control: interruption.control) }
        let kept = try #require(try? Data(contentsOf: URL(fileURLWithPath: trained.records("parts"))))
        steps = kept.split(separator: UInt8(ascii: "\n")).count - 1
        #expect(steps >= 1 && steps < 6)
        let resumed = try datamodeling("parts", control: stages.control)
        #expect(resumed.actual == whole.actual)
        #expect(resumed.estimators == whole.estimators)
        // A run of more models keeps those that are there.
        #expect(try Array(datamodeling("parts", subsets: 8).actual.prefix(6)) == whole.actual)
        #expect(throws: RunRecordsError.self) { try datamodeling("parts", seed: 4) }
    }

    @Test("is refused with an estimate where it would take longer than it may")
    func limit() throws {
        #expect {
            try datamodeling(limit: 1e-6)
        } throws: { error in
            guard case .tooLong("training 6 models", let seconds, let bytes, _)? = error as? EvaluationError else {
                return false
            }
            return seconds > 0 && bytes > 0 && "\(error)".contains("--anyway")
        }
    }

    @Test("refuses another program's scores of other queries or sequences")
    func givenScores() throws {
        #expect(throws: GivenScoresError.wrongCount(name: "x", of: "queries", expected: 2, found: 1)) {
            try datamodeling(given: [GivenScores(name: "x", scores: [[]])])
        }
        #expect(
            throws: GivenScoresError.wrongCount(name: "x", of: "sequences", expected: subject.rowids.count, found: 1)
        ) {
            try datamodeling(given: [GivenScores(name: "x", scores: [[1], [2]])])
        }
    }

    @Test("needs a model that says how it was trained")
    func unknownRecipe() throws {
        let tiny = try TinySubject()
        #expect(throws: TrainingError.self) {
            try LinearDatamodeling(tiny.subject, TinySubject.queries).run(EvaluationControl())
        }
    }

    @Test("without a query's own sentences makes its completion less likely than without others")
    func removal() throws {
        var settings = RemovalStudy.Settings()
        settings.count = 5
        settings.estimators = [.ekfac]
        settings.wholes = 2
        settings.repeats = 2
        let study = RemovalStudy(subject, TrainedSubject.queries, settings: settings)
        let result = try study.run(EvaluationControl().keeping(trained.records("remove")))
        #expect(result.choices.map(\.name) == ["ekfac", "random"])
        let ekfac = try #require(result.choices[0].mean)
        #expect(ekfac.value < -0.05)
        #expect(try #require(result.difference("ekfac", "random")).value < 0)
        #expect(result.report.text.contains("random"))
        // Nothing is trained a second time.
        let stages = Stages()
        #expect(try study.run(stages.control.keeping(trained.records("remove"))).choices == result.choices)
        #expect(!stages.names.contains("training"))
    }

    @Test("for one step on its top sequences makes a completion likelier than on random ones")
    func tailPatch() throws {
        var settings = TailPatch.Settings()
        settings.count = 3
        settings.estimators = [.ekfac]
        let result = try TailPatch(subject, TrainedSubject.queries, settings: settings).run(EvaluationControl())
        let ekfac = try #require(result.choices.first?.mean)
        let random = try #require(result.choices.last?.mean)
        #expect(result.choices.last?.name == "random")
        #expect(ekfac.value > 0)
        #expect(ekfac.value > random.value)
        #expect(result.report.text.contains("ekfac"))
    }

    @Test("on a garbled corpus lets self-influence find what was garbled")
    func mislabels() throws {
        var settings = MislabelDetection.Settings()
        settings.share = 0.12
        let result = try MislabelDetection(subject, settings: settings).run(EvaluationControl(limit: nil))
        #expect(result.corrupted == 4)
        for curve in result.curves {
            #expect(curve.found.first == 0 && curve.found.last == 1)
            #expect(zip(curve.found, curve.found.dropFirst()).allSatisfy { $0 <= $1 })
        }
        #expect(try #require(result.curves.first).areaUnderCurve > 0.5)
    }

    @Test("finds no difference in an area under the curve where there is none, and all where there is all")
    func areas() {
        let isCorrupted = [true, false, true, false]
        #expect(MislabelResult.Curve(name: "", scores: [4, 1, 3, 2], isCorrupted: isCorrupted).areaUnderCurve == 1)
        #expect(MislabelResult.Curve(name: "", scores: [1, 1, 1, 1], isCorrupted: isCorrupted).areaUnderCurve == 0.5)
        #expect(MislabelResult.Curve(name: "", scores: [1, 4, 2, 3], isCorrupted: isCorrupted).areaUnderCurve == 0)
    }

    @Test("garbles the second half of some sequences, and leaves the others alone", arguments: Corruption.allCases)
    func garbling(corruption: Corruption) {
        let sequences = (0..<20).map { number in
            TrainingSequence(tokens: (0..<10).map { Int32(100 * number + $0) })
        }
        let corpus = CorruptedCorpus(sequences, corruption, share: 0.2, seed: 1)
        #expect(corpus.corrupted.count == 4)
        for place in sequences.indices {
            if corpus.corrupted.contains(place) {
                #expect(corpus.sequences[place].tokens.prefix(5) == sequences[place].tokens.prefix(5))
                #expect(corpus.sequences[place].tokens.suffix(5) != sequences[place].tokens.suffix(5))
                let sameTokens = corpus.sequences[place].tokens.sorted() == sequences[place].tokens.sorted()
                #expect(sameTokens == (corruption == .shuffled))
            } else {
                #expect(corpus.sequences[place] == sequences[place])
            }
        }
    }
}
