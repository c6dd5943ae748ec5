import LinearAlgebra

/// Random parts of a corpus that models are trained on.
struct TrainingSubsets: Sendable, Equatable {
    /// One a model: places, in ascending order.
    let places: [[Int]]

    /// - Parameters:
    ///   - count: How many subsets.
    ///   - share: Of all sequences, in each.
    init(of sequences: Int, count: Int, share: Double, seed: UInt64) {
        let kept = min(max(Int((share * Double(sequences)).rounded()), 1), sequences)
        places = (0..<count).map { number in
            var generator = SplitMix64(seed: seed &+ 0x5EED_0F_5E75 &* UInt64(number + 1))
            return (0..<sequences).shuffled(using: &generator).prefix(kept).sorted()
        }
    }
}
