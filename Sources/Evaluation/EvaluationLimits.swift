import Attribution
import Limits

/// What the options of evaluations are allowed to be.
public enum EvaluationLimits {
    /// Sequences at the top of a ranking that are looked at or taken out.
    public static let top = 1...1_000_000
    /// Sequences that estimators score for each query: correlations need some.
    public static let candidates = 10...1_000_000
    /// Sequences whose proximal response is found.
    public static let responses = 1...1_000_000
    /// Sequences that stand for the whole corpus.
    public static let sample = 1...1_000_000_000
    /// Models that are trained on parts of the corpus: correlations need some.
    public static let subsets = 3...10_000
    /// Models that are trained for each of several choices.
    public static let trainings = 1...10_000
    public static let iterations = 1...1_000_000
    public static let seed = UInt64.min...UInt64.max

    /// The part of the corpus that a model is trained on.
    public static let trainedShare = NumberLimit.above(0, below: 1)
    /// The part of the corpus that is corrupted.
    public static let corruptedShare = NumberLimit.above(0, to: 0.5)
    /// The part of a gradient's norm at which a minimum counts as reached.
    public static let tolerance = NumberLimit.above(0, below: 1)
    /// How far one training step moves the parameters, as a part of their norm.
    public static let step = NumberLimit.above(0, to: 1)
    /// Copies of a sequence that are added, or where negative removed.
    public static let copies = NumberLimit.from(-1_000_000, to: 1_000_000)
    public static let damping = InfluenceQuery.Limits.damping
    /// Damping in units of a layer's mean eigenvalue.
    public static let relativeDamping = NumberLimit.from(1e-12, to: 1e12)
    public static let relativeDampings = ListLimit<Double>(1...100, of: "dampings")
}
