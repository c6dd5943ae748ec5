import LinearAlgebra

/// How sequences are garbled on purpose.
public enum Corruption: String, Sendable, Codable, CaseIterable {
    /// The tokens of a sequence's second half are put in random order.
    case shuffled
    /// A sequence ends with the end of another.
    case exchanged
}

/// A corpus of which some sequences were garbled on purpose, all in the second half.
struct CorruptedCorpus: Sendable, Equatable {
    let sequences: [[Int32]]
    /// Places of what was garbled, in ascending order.
    let corrupted: [Int]

    /// - Parameter share: Of all sequences that are long enough to have two halves.
    init(_ sequences: [[Int32]], _ corruption: Corruption, share: Double, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let eligible = sequences.indices.filter { sequences[$0].count >= 8 }
        let count = min(max(Int((share * Double(sequences.count)).rounded()), 2), eligible.count)
        let chosen = Array(eligible.shuffled(using: &generator).prefix(count))
        var garbled = sequences
        for (index, place) in chosen.enumerated() {
            let own = sequences[place]
            let end =
                switch corruption {
                case .shuffled: Self.secondHalf(of: own).shuffled(using: &generator)
                case .exchanged: Self.secondHalf(of: sequences[chosen[(index + 1) % chosen.count]])
                }
            garbled[place] = own.prefix(own.count / 2) + end
        }
        self.sequences = garbled
        corrupted = chosen.sorted()
    }

    private static func secondHalf(of sequence: [Int32]) -> [Int32] {
        Array(sequence.suffix(sequence.count - sequence.count / 2))
    }
}
