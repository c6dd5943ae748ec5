import Foundation
import LinearAlgebra

/// Rotary position embedding (Su et al. 2021): each pair (i, i + half) of a head's entries turns by position · base^(-2i/width).
struct Rotary: Sendable {
    /// positions × half
    let cosine: Matrix
    let sine: Matrix

    init(base: Double, headWidth: Int, positions: Int) {
        let half = headWidth / 2
        var cosine = Matrix(rows: positions, columns: half)
        var sine = Matrix(rows: positions, columns: half)
        cosine.withMutableSpan { cosines in
            sine.withMutableSpan { sines in
                for position in 0..<positions {
                    for pair in 0..<half {
                        let angle = Double(position) * pow(base, -2 * Double(pair) / Double(headWidth))
                        cosines[position * half + pair] = Float(cos(angle))
                        sines[position * half + pair] = Float(sin(angle))
                    }
                }
            }
        }
        self.cosine = cosine
        self.sine = sine
    }

    /// Turns the head vectors that start at a column of a tokens × projected matrix.
    func apply(
        to projected: inout Matrix, column: Int, heads: Int, headWidth: Int, positions: [Int32], isInverse: Bool = false
    ) {
        projected.rotateHalves(
            fromColumn: column, heads: heads, headWidth: headWidth, positions: positions, cosine: cosine, sine: sine,
            isInverse: isInverse)
    }
}
