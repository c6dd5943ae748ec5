import Testing

@testable import Attribution

@Suite("The chunks of a sweep")
struct SweepChunkTests {
    @Test(
        "are all candidates in order, fewer at a time towards the end",
        arguments: [0, 1, 4, 5, 10, 32, 149, 1_000, 7_436])
    func sizes(candidates: Int) {
        let chunks = CandidateSweep.chunks(of: candidates)
        #expect(Array(chunks.joined()) == Array(0..<candidates))
        let sizes = chunks.map(\.count)
        #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(sizes.dropLast().allSatisfy { [4, 8, 16, 32].contains($0) })
        #expect((sizes.last ?? 0) <= 4)
        if candidates >= 192 { #expect(sizes.first == 32) }
    }

    @Test("leave each of some workers nearly as much as the others", arguments: [2, 3, 4], [10, 32, 149, 1_000])
    func balance(workers: Int, candidates: Int) {
        var loads = [Int](repeating: 0, count: workers)
        // The worker that is done first takes the next chunk.
        for chunk in CandidateSweep.chunks(of: candidates) {
            let least = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            loads[least] += chunk.count
        }
        #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 4)
    }
}
