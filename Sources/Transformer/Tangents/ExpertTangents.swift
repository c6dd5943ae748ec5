import LinearAlgebra

extension MixtureOfExperts {
    /// The tangents of one block's mixture.
    struct Tangents {
        /// tokens × experts: those of the factors.
        var factors = Matrix()
        /// tokens × 1: those of the shared expert's gate.
        var sharedGate = Matrix()
        /// One expert's tokens × width.
        var inputs = Matrix()
        var inputTangents = Matrix()
        var outputs = Matrix()
        var outputTangents = Matrix()
    }

    /// Adds the tangents of the mixture's outputs: `Σ q_e df_e + dq_e f_e`. The router does not change along the direction, but its inputs
    /// do. The choice of the experts is fixed.
    ///
    /// The softmax's Jacobian is symmetric: the step of the backward pass also computes tangents.
    func addTangents(
        along direction: TangentDirection, normalized: Matrix, normalizedTangents: Matrix?, activations: Activations,
        tangents: inout Tangents, feedForward: inout FeedForward.Tangents, to outputs: inout Matrix
    ) {
        if let normalizedTangents {
            router.forward(normalizedTangents, to: &tangents.factors, adding: false)
            tangents.factors.applySoftmaxGradient(probabilities: activations.routing.probabilities, scale: 1)
        }
        for (index, expert) in experts.enumerated() {
            let positions = activations.routing.positions[index]
            guard !positions.isEmpty else { continue }
            tangents.inputs.gatherRows(positions, of: normalized)
            if let normalizedTangents { tangents.inputTangents.gatherRows(positions, of: normalizedTangents) }
            let isFixed = normalizedTangents == nil
            formTangents(
                of: expert, along: direction, inputs: tangents.inputs,
                inputTangents: isFixed ? nil : tangents.inputTangents, factors: activations.routing.factors[index],
                factorTangents: isFixed ? nil : positions.map { tangents.factors[$0, index] },
                activations: activations.experts[index], tangents: &tangents, feedForward: &feedForward)
            outputs.addRows(of: tangents.outputTangents, to: positions)
        }
        guard let shared, let sharedGate else { return }
        var gateTangents: [Float]?
        if let normalizedTangents {
            sharedGate.forward(normalizedTangents, to: &tangents.sharedGate, adding: false)
            gateTangents = activations.sharedFactors.enumerated().map { row, factor in
                tangents.sharedGate[row, 0] * factor * (1 - factor)
            }
        }
        formTangents(
            of: shared, along: direction, inputs: normalized, inputTangents: normalizedTangents,
            factors: activations.sharedFactors, factorTangents: gateTangents, activations: activations.shared,
            tangents: &tangents, feedForward: &feedForward)
        outputs.add(tangents.outputTangents)
    }

    /// Computes the tangents of one expert's outputs times their factors.
    private func formTangents(
        of expert: FeedForward, along direction: TangentDirection, inputs: Matrix, inputTangents: Matrix?,
        factors: [Float], factorTangents: [Float]?, activations: FeedForward.Activations, tangents: inout Tangents,
        feedForward: inout FeedForward.Tangents
    ) {
        tangents.outputTangents.resize(rows: inputs.rows, columns: router.inputWidth, filledWith: 0)
        expert.addTangents(
            along: direction, normalized: inputs, normalizedTangents: inputTangents, activations: activations,
            tangents: &feedForward, to: &tangents.outputTangents)
        tangents.outputTangents.scaleRows(from: 0, by: factors)
        guard let factorTangents else { return }
        expert.down.forward(feedForward.inputs, to: &tangents.outputs, adding: false)
        tangents.outputTangents.addRows(from: 0, of: tangents.outputs, scaledBy: factorTangents)
    }
}
