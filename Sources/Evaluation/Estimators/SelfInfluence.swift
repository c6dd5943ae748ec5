import Curvature
import LinearAlgebra
import Transformer

/// Finds each sequence's influence on its own loss, `gᵀ (G + λI)⁻¹ g` under EK-FAC factors. It is high for sequences that the other
/// sequences of the corpus do not help to predict, such as mislabelled or garbled ones (Koh and Liang 2017, section 5.4).
struct SelfInfluenceTap: GradientTap, Sendable {
    /// In nats, one per sequence of the last micro-batch.
    private(set) var scores: [Double] = []

    private let factors: EKFACFactors
    private let damping: [Double]
    private var sums: [Double] = []
    private var rotatedInputs = Matrix()
    private var rotatedInputsOwner: Int?
    private var rotatedGradients = Matrix()
    private var gradient = Matrix()
    private var quotient = Matrix()

    /// - Parameter damping: λ in place of the layers' own.
    init(_ factors: EKFACFactors, damping: Double? = nil) {
        self.factors = factors
        self.damping = factors.damping(damping)
    }

    mutating func record(_ pass: LayerPass) {
        let layer = factors.layers[pass.layer.index]
        if sums.isEmpty { sums = [Double](repeating: 0, count: pass.batch.sequences.count) }
        guard layer.hasCurvature else { return }
        if rotatedInputsOwner != pass.layer.inputOwner {
            rotatedInputs.formProduct(pass.inputs, layer.activationVectors)  // tokens × in
            rotatedInputsOwner = pass.layer.inputOwner
        }
        rotatedGradients.formProduct(pass.outputGradients, layer.gradientVectors)  // tokens × out
        for (index, rows) in pass.sequences.enumerated() where !rows.isEmpty {
            gradient.formProduct(rotatedGradients[rows: rows].transposed, rotatedInputs[rows: rows])  // out × in
            quotient.formDampedQuotient(gradient, layer.eigenvalues, damping: Float(damping[pass.layer.index]))
            sums[index] += gradient.dot(quotient)
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        rotatedInputsOwner = nil
        scores = sums
        sums = []
    }
}
