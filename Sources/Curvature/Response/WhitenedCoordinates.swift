import LinearAlgebra
import Transformer

/// Coordinates of the tracked parameters in which EK-FAC's damped curvature is the identity: `u = (Λ + λ)^½ (Qsᵀ W Qa)`, layer by layer.
///
/// What is minimised there has the same minimum. It is reached sooner the better EK-FAC approximates the curvature: in the
/// parameters themselves the steepest and the flattest direction differ by a factor of Λ's largest value over λ.
struct WhitenedCoordinates: Sendable {
    private let factors: EKFACFactors
    /// `(Λ + λ)^½` of each layer, out × in.
    private let deviations: [Matrix]

    /// - Parameter damping: λ of each layer.
    init(_ factors: EKFACFactors, damping: [Double]) {
        self.factors = factors
        deviations = zip(factors.layers, damping).map { layer, damping in
            var deviations = layer.eigenvalues
            deviations.withMutableSpan { values in
                // Rounding may leave what is a sum of squares a little below zero.
                for index in values.indices { values[index] = (max(values[index], 0) + Float(damping)).squareRoot() }
            }
            return deviations
        }
    }

    /// The gradient in u of what has this gradient in the parameters: `(Qsᵀ G Qa) / (Λ + λ)^½`.
    func gradient(_ gradient: ParameterVector) -> ParameterVector {
        ParameterVector(
            layers: gradient.layers.indices.map { layer in
                var quotient = Matrix()
                quotient.formDampedQuotient(
                    factors.layers[layer].rotated(gradient.layers[layer]), deviations[layer], damping: 0)
                return quotient
            })
    }

    /// The parameters at u: `Qs (u / (Λ + λ)^½) Qaᵀ`.
    func parameters(_ coordinates: ParameterVector) -> ParameterVector {
        ParameterVector(
            layers: coordinates.layers.indices.map { layer in
                var quotient = Matrix()
                quotient.formDampedQuotient(coordinates.layers[layer], deviations[layer], damping: 0)
                return factors.layers[layer].unrotated(quotient)
            })
    }
}
