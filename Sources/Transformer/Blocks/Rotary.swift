import Foundation
import LinearAlgebra

/// Rotary position embedding (Su et al. 2021): each pair (i, i + half) of a head's entries turns by position · frequency i.
public struct RotaryEmbedding: Sendable, Equatable {
    public var base: Double
    /// How many of a head's entries turn, from the first on: an even number.
    public var width: Int
    public var scaling: Scaling

    /// How frequencies were changed to reach a longer context than the model was first trained with.
    public enum Scaling: Sendable, Equatable {
        case none
        /// All are divided by one factor (Chen et al. 2023).
        case linear(factor: Double)
        /// Those of long waves are divided by the factor, those of short waves kept, and those between blended (Llama 3.1).
        ///
        /// A wave is short if it fits more than `highFrequencyFactor` times into the original context, and long if it fits less
        /// than `lowFrequencyFactor` times.
        case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    }

    public init(base: Double, width: Int, scaling: Scaling = .none) {
        self.base = base
        self.width = width
        self.scaling = scaling
    }

    /// By how many radians each pair turns from one position to the next.
    var frequencies: [Double] {
        (0..<(width / 2)).map { scaled(pow(base, -2 * Double($0) / Double(width))) }
    }

    private func scaled(_ frequency: Double) -> Double {
        switch scaling {
        case .none: return frequency
        case .linear(let factor): return frequency / factor
        case .llama3(let factor, let low, let high, let originalContext):
            let waves = Double(originalContext) * frequency / (2 * .pi)
            if waves < low { return frequency / factor }
            if waves > high { return frequency }
            let kept = (waves - low) / (high - low)
            return frequency * (kept + (1 - kept) / factor)
        }
    }
}

/// The cosines and sines of a rotary embedding, as far as some batch has asked for them.
struct RotaryTable {
    private var embedding: RotaryEmbedding?
    /// positions × half
    private var cosine = Matrix()
    private var sine = Matrix()

    /// Positions tabulated.
    var positions: Int { cosine.rows }

    /// Makes room for positions below the given one.
    mutating func prepare(_ embedding: RotaryEmbedding, positions: Int, contextLength: Int) {
        guard self.embedding != embedding || cosine.rows < positions else { return }
        self.embedding = embedding
        // Twice what is asked for: a stream of ever longer batches makes the table anew only a few times.
        let rows = max(positions, min(2 * positions, contextLength))
        let frequencies = embedding.frequencies
        let half = frequencies.count
        cosine.resize(rows: rows, columns: half)
        sine.resize(rows: rows, columns: half)
        cosine.withMutableSpan { cosines in
            sine.withMutableSpan { sines in
                for position in 0..<rows {
                    for pair in 0..<half {
                        let angle = Double(position) * frequencies[pair]
                        cosines[position * half + pair] = Float(cos(angle))
                        sines[position * half + pair] = Float(sin(angle))
                    }
                }
            }
        }
    }

    /// Turns some head vectors of a tokens × projected matrix.
    func apply(
        to projected: inout Matrix, _ vectors: AttentionLayout.HeadVectors, positions: [Int32], isInverse: Bool = false
    ) {
        projected.rotateHalves(
            fromColumn: vectors.start, heads: vectors.count, headWidth: vectors.stride, positions: positions,
            cosine: cosine, sine: sine, isInverse: isInverse)
    }
}
