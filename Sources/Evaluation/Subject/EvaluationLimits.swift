import Attribution
import Limits

/// The values that the options of evaluations can have.
public enum EvaluationLimits {
    /// Sequences at the top of a ranking that are examined or removed.
    public static let top = 1...1_000_000
    /// Sequences that estimators score for each query: correlations need some.
    public static let candidates = 10...1_000_000
    /// Sequences whose proximal response is computed.
    public static let responses = 1...1_000_000
    /// Sequences that represent the whole corpus.
    public static let sample = 1...1_000_000_000
    /// Models that are trained on parts of the corpus: correlations need some.
    public static let subsets = 3...10_000
    /// Models that are trained for each of several choices.
    public static let trainings = 1...10_000
    public static let iterations = 1...1_000_000

    /// The share of the corpus that a model is trained on.
    public static let trainedShare = NumberLimit.above(0, below: 1)
    /// The share of the corpus that is corrupted.
    public static let corruptedShare = NumberLimit.above(0, to: 0.5)
    /// The share of a gradient's norm at which a minimum counts as reached.
    public static let tolerance = NumberLimit.above(0, below: 1)
    /// How far one training step moves the parameters, as a share of their norm.
    public static let step = NumberLimit.above(0, to: 1)
    /// Copies of a sequence that are added, or removed if negative.
    public static let copies = NumberLimit.from(-1_000_000, to: 1_000_000)
    public static let damping = InfluenceQuery.Limits.damping
    /// Damping in units of a layer's mean eigenvalue.
    public static let relativeDamping = NumberLimit.from(1e-12, to: 1e12)
    public static let relativeDampings = ListLimit<Double>(1...100, of: "dampings")
}

/// Why an evaluation was not made.
public enum EvaluationError: Error, Equatable, CustomStringConvertible {
    case tooFewSequences(found: Int)
    case noQueries
    case unusableQuery(prompt: String, reason: String)
    /// A text that cannot be one training sequence.
    case unusableText(text: String, tokens: Int, capacity: Int)
    /// A sequence without a finite score: the model overflows on it.
    case notFinite(sequence: String)
    /// The run would take longer than the limit.
    case tooLong(what: String, seconds: Double, bytes: Int, limit: Double)
    case cancelled

    public var description: String {
        switch self {
        case .tooFewSequences(let found):
            "the corpus has \(found) sequences: an evaluation needs at least \(EvaluationSubject.leastSequences)"
        case .noQueries: "there is no query: an evaluation needs at least one"
        case .unusableQuery(let prompt, let reason): "the query \"\(prompt)\": \(reason)"
        case .unusableText(let text, let tokens, let capacity):
            "the text \"\(text)\" has \(tokens) tokens: expected 2 to \(capacity), as training sequences have"
        case .notFinite(let sequence):
            "the sequence \"\(sequence)\" has a score that is not finite: the model overflows on it. Leave it out of the corpus to "
                + "evaluate the others."
        case .tooLong(let what, let seconds, let bytes, let limit):
            "\(what) would take about \(Int(saturating: (seconds / 60).rounded(.up))) minutes and \(bytes / 1_000_000) MB on this "
                + "machine. Without --anyway, an evaluation is allowed \(Int(saturating: limit / 60)) minutes. Ask for less, or add "
                + "--anyway."
        case .cancelled:
            "the evaluation was interrupted; run the same command again to continue from there"
        }
    }
}
