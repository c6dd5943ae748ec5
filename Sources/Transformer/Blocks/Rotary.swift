import Foundation
import LinearAlgebra

extension RotaryEmbedding {
    /// The angle in radians by which each pair rotates from one position to the next.
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

/// The cosines and sines of a rotary embedding, for the positions that batches have had so far.
struct RotaryTable {
    private var embedding: RotaryEmbedding?
    /// positions × half
    private var cosine = Matrix()
    private var sine = Matrix()

    /// The number of positions in the table.
    var positions: Int { cosine.rows }

    /// Extends the table to the given number of positions.
    mutating func prepare(_ embedding: RotaryEmbedding, positions: Int, contextLength: Int) {
        guard self.embedding != embedding || cosine.rows < positions else { return }
        self.embedding = embedding
        // Twice the number needed: a stream of ever longer batches rebuilds the table only a few times.
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

    /// Rotates head vectors of a tokens × projected matrix.
    func apply(
        to projected: inout Matrix, _ vectors: AttentionLayout.HeadVectors, positions: [Int32], isInverse: Bool = false
    ) {
        projected.rotateHalves(
            fromColumn: vectors.start, heads: vectors.count, headWidth: vectors.stride, positions: positions,
            cosine: cosine, sine: sine, isInverse: isInverse)
    }
}
