/// Which queries want which candidates.
struct WantedPairs: Sendable {
    /// Where each candidate's queries begin, and one more: where the last one's end.
    private let starts: [Int]
    private let queries: [Int32]

    /// - Parameter candidates: For each query the candidates that it wants, by their place among all.
    /// - Returns: `nil` if every query wants every candidate.
    init?(_ candidates: [[Int]], of count: Int) {
        guard candidates.contains(where: { $0.count < count }) else { return nil }
        var starts = [Int](repeating: 0, count: count + 1)
        for candidate in candidates.joined() { starts[candidate + 1] += 1 }
        for place in 0..<count { starts[place + 1] += starts[place] }
        var next = starts
        var queries = [Int32](repeating: 0, count: starts[count])
        for (query, own) in candidates.enumerated() {
            for candidate in own {
                queries[next[candidate]] = Int32(query)
                next[candidate] += 1
            }
        }
        self.starts = starts
        self.queries = queries
    }

    /// The queries that want a candidate, ascending.
    subscript(candidate: Int) -> [Int] { queries[starts[candidate]..<starts[candidate + 1]].map(Int.init) }

    func isWanted(_ candidate: Int) -> Bool { starts[candidate] < starts[candidate + 1] }

    var count: Int { queries.count }
}
