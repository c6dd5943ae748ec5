/// Why an evaluation was not made.
public enum EvaluationError: Error, Equatable, CustomStringConvertible {
    case tooFewSequences(found: Int)
    case noQueries
    case unusableQuery(prompt: String, reason: String)
    /// A text that is not one training sequence.
    case unusableText(text: String, tokens: Int, room: Int)
    /// The whole would take longer than was allowed.
    case tooLong(what: String, seconds: Double, bytes: Int, limit: Double)
    case cancelled

    public var description: String {
        switch self {
        case .tooFewSequences(let found):
            "the corpus has \(found) sequences: an evaluation needs at least \(EvaluationSubject.leastSequences)"
        case .noQueries: "there is no query: an evaluation needs at least one"
        case .unusableQuery(let prompt, let reason): "the query \"\(prompt)\": \(reason)"
        case .unusableText(let text, let tokens, let room):
            "the text \"\(text)\" has \(tokens) tokens: expected 2 to \(room), as training sequences have"
        case .tooLong(let what, let seconds, let bytes, let limit):
            "\(what) would take about \(Int(saturating: (seconds / 60).rounded(.up))) minutes and \(bytes / 1_000_000) MB on this machine; "
                + "without being told to go on, an evaluation may take \(Int(saturating: limit / 60)) minutes. Ask for less, or go on with "
                + "--anyway."
        case .cancelled:
            "the evaluation was interrupted; run the same command again to go on from there"
        }
    }
}

extension EvaluationError {
    /// Refuses what would take longer than it may.
    static func check(seconds: Double, bytes: Int, limit: Double?, of what: String) throws {
        guard let limit, seconds > limit else { return }
        throw EvaluationError.tooLong(what: what, seconds: seconds, bytes: bytes, limit: limit)
    }
}
