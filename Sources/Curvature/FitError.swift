/// Why a fit ended without factors.
public enum FitError: Error, Equatable, CustomStringConvertible {
    case noSequences
    case notFinite
    /// Every sequence is a single token, so that there is nothing to predict.
    case nothingToPredict
    /// The loss depends on none of the tracked layers.
    case withoutGradients
    case overflow(layer: String)
    case interrupted(stage: FactorFit.Stage, done: Int, total: Int)
    /// The fit was interrupted, and its state could not be saved.
    case interruptedUnsaved(stage: FactorFit.Stage, done: Int, total: Int, reason: String)
    /// The factors are fitted but could not be written. The path is nil if there is no state either.
    case factorsNotWritten(reason: String, statePath: String?)

    public var description: String {
        switch self {
        case .noSequences: "the corpus has no sequences to fit on: import some first"
        case .notFinite: "the model's loss is not finite on a sequence of the corpus: its weights may be damaged"
        case .nothingToPredict:
            "no sequence of the corpus has a token to predict: expected texts of two tokens or more, found only texts of one. "
                + "Import longer texts"
        case .withoutGradients:
            "the model's loss on the corpus depends on none of the tracked layers: all their gradients are zero, so that there is "
                + "no curvature to fit. Track other layers with --track, or check the model's weights"
        case .overflow(let layer):
            "the squared gradients of layer \"\(layer)\" are too large for single precision: its weights may be damaged"
        case .interrupted(let stage, let done, let total):
            "interrupted in \(stage.rawValue) at \(done) of \(total); run the same command again to go on from there"
        case .interruptedUnsaved(let stage, let done, let total, let reason):
            """
            interrupted in \(stage.rawValue) at \(done) of \(total), and the state could not be saved: \(reason) The same command goes on \
            from an earlier state, if there is one
            """
        case .factorsNotWritten(let reason, let statePath):
            if let statePath {
                """
                the factors are fitted, and cannot be written: \(reason) The state of the fit is kept in \(statePath): when the \
                factors can be written, run the same command again to go on from there
                """
            } else {
                """
                the factors are fitted, and cannot be written: \(reason) No state of the fit could be saved either: when there is \
                space for both, fit again
                """
            }
        }
    }
}
