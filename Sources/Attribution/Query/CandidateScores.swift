/// The scores of all candidates of one query, in the order of the corpus, those that no ranking shows included.
public struct CandidateScores: Sendable, Equatable {
    /// The candidates, ascending.
    public private(set) var rowids: [Int64] = []
    /// In nats. Not finite if the model overflows on the sequence.
    public private(set) var scores: [Double] = []
    /// Whether each score was computed again with the full-rank gradient, as those of the leading candidates are. Other scores are those of
    /// the query's compressed gradient.
    public private(set) var isRescored: [Bool] = []

    public init() {}

    /// - Parameter count: How many candidates there will be.
    init(reservingCapacity count: Int) {
        rowids.reserveCapacity(count)
        scores.reserveCapacity(count)
        isRescored.reserveCapacity(count)
    }

    public var count: Int { rowids.count }

    /// - Precondition: The range is within `0..<count`.
    public subscript(range: Range<Int>) -> CandidateScores {
        var part = CandidateScores()
        part.rowids = Array(rowids[range])
        part.scores = Array(scores[range])
        part.isRescored = Array(isRescored[range])
        return part
    }

    /// - Precondition: The rowid is above all others.
    public mutating func append(rowid: Int64, score: Double, isRescored: Bool) {
        precondition(
            rowids.last.map { $0 < rowid } ?? true, "rowid \(rowid) does not come after \(rowids.last ?? 0)")
        rowids.append(rowid)
        scores.append(score)
        self.isRescored.append(isRescored)
    }
}
