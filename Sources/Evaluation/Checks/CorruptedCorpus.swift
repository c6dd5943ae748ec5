import LinearAlgebra

/// A corpus of which some sequences were garbled on purpose: each of these ends with the end of another of them.
struct CorruptedCorpus: Sendable, Equatable {
    let sequences: [[Int32]]
    /// Places of what was garbled, in ascending order.
    let corrupted: [Int]

    /// - Parameter share: Of all sequences that are long enough to have two halves.
    init(_ sequences: [[Int32]], share: Double, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let eligible = sequences.indices.filter { sequences[$0].count >= 8 }
        let count = min(max(Int((share * Double(sequences.count)).rounded()), 2), eligible.count)
        let chosen = Array(eligible.shuffled(using: &generator).prefix(count))
        var garbled = sequences
        for (index, place) in chosen.enumerated() {
            let other = sequences[chosen[(index + 1) % chosen.count]]
            let own = sequences[place]
            garbled[place] = Array(own.prefix(own.count / 2) + other.suffix(other.count - other.count / 2))
        }
        self.sequences = garbled
        corrupted = chosen.sorted()
    }
}
