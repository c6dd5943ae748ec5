import Curvature
import Foundation
import Synchronization

/// A question about what scores are worth, asked of one subject.
///
///     options -> a study of the subject -> run -> a result: JSON to keep, a report to read
public protocol EvaluationStudy: Sendable {
    associatedtype Result: EvaluationResult

    /// The name of the study's command and files, such as "lds".
    static var name: String { get }

    /// Answers the question.
    ///
    /// - Throws: ``EvaluationError``, ``RunRecordsError``, `SolveError`, `FitError`, `TrainingError`, or an error of the corpus.
    func run(_ control: EvaluationControl) throws -> Result
}

/// The answer of a study.
public protocol EvaluationResult: Sendable, Encodable {
    var report: EvaluationReport { get }
}

extension EvaluationResult {
    /// The result for programs: JSON with sorted keys in snake case.
    public var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.keyEncodingStrategy = .convertToSnakeCase
            return try encoder.encode(self)
        }
    }
}

/// Observes, bounds, cancels and checkpoints an evaluation. Its closures are called from any thread.
public struct EvaluationControl: Sendable {
    /// The file with the finished parts, from which an interrupted run continues; `nil` to keep them in memory only. Studies that
    /// are quick to repeat keep none.
    public var records: String?
    /// The seconds that a run is allowed to take, by an estimate that is made before the long work; `nil` for any time.
    public var limit: Double?
    /// Receives the progress after each step.
    public var progress: @Sendable (Progress) -> Void
    /// Whether to end the evaluation; called before each micro-batch.
    public var isCancelled: @Sendable () -> Bool

    public struct Progress: Sendable, Equatable {
        public var stage: String
        public var done: Int
        public var total: Int
    }

    public init(
        records: String? = nil, limit: Double? = 1_800, progress: @escaping @Sendable (Progress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.records = records
        self.limit = limit
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// Throws ``EvaluationError/cancelled`` once the evaluation is cancelled.
    var step: @Sendable () throws -> Void {
        { [isCancelled] in if isCancelled() { throw EvaluationError.cancelled } }
    }

    func report(_ stage: String, _ done: Int, of total: Int) {
        progress(Progress(stage: stage, done: done, total: total))
    }

    /// Counts the steps of a stage that several workers share: each call of the result reports one more.
    func counting(_ stage: String, from done: Int = 0, of total: Int) -> @Sendable () -> Void {
        let counter = Mutex(done)
        return {
            let now = counter.withLock { done in
                done += 1
                return done
            }
            report(stage, now, of: total)
        }
    }

    /// The control of an inverse product, shown as a stage.
    func solving(_ stage: String) -> WorkControl<WorkProgress> {
        WorkControl(progress: { report(stage, $0.done, of: $0.total) }, step: step)
    }

    /// Refuses a run that would take longer than the limit.
    func check(seconds: Double, bytes: Int, of what: String) throws {
        guard let limit, seconds > limit else { return }
        throw EvaluationError.tooLong(what: what, seconds: seconds, bytes: bytes, limit: limit)
    }
}
