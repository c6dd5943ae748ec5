import LinearAlgebra

/// The sequences of the highest scores.
struct TopSequences {
    /// From the highest score down.
    let places: [Int]

    init(of scores: [Double], count: Int) {
        let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
        places = Array(order.prefix(count))
    }

    /// As many at random instead, others for each query.
    init(drawnFrom sequences: Int, count: Int, seed: UInt64, query: Int) {
        var generator = SplitMix64(seed: seed &+ 0x7A4D_04 &* UInt64(query + 1))
        places = Array((0..<sequences).shuffled(using: &generator).prefix(count))
    }

    /// How much of this is in the other as well.
    func share(in other: TopSequences) -> Double {
        guard !places.isEmpty else { return 0 }
        return Double(Set(places).intersection(other.places).count) / Double(places.count)
    }
}
