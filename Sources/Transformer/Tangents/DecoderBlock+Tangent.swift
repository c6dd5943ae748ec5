import LinearAlgebra

extension DecoderModel.Block {
    /// Turns the tangents of the residual stream before the block, in place, into those behind it.
    ///
    /// - Parameter residualIsFixed: The stream before the block does not change along the direction, as before the first one.
    func applyTangents(
        along direction: TangentDirection, _ batch: TokenBatch, _ index: Int, rotary: RotaryTable?,
        in workspace: inout DecoderWorkspace, _ tangents: inout TangentWorkspace, residualIsFixed: Bool
    ) {
        let entry = 2 * index
        // Below the lowest tracked layer nothing changes.
        let attentionIsFixed = residualIsFixed && !direction.tracked.selection.contains(.attention)
        readAttentionInputs(index, in: &workspace)
        if !sharesNorm { readFeedForwardInputs(index, in: &workspace) }
        if !attentionIsFixed {
            attentionNorm.formTangents(
                of: tangents.residual, inputs: workspace.residuals[entry], workspace.attentionInputs,
                into: &tangents.attentionInputs)
        }
        if isParallel, !sharesNorm, !residualIsFixed {
            feedForwardNorm.formTangents(
                of: tangents.residual, inputs: workspace.residuals[entry], workspace.feedForwardInputs,
                into: &tangents.feedForwardInputs)
        }
        if !attentionIsFixed {
            tangents.branch.resize(rows: tangents.residual.rows, columns: tangents.residual.columns, filledWith: 0)
            attention.addTangents(
                along: direction, normalized: workspace.attentionInputs.outputs,
                normalizedTangents: tangents.attentionInputs, batch: batch, rotary: rotary,
                workspace.blocks[index].attention, &workspace.attention, &tangents.attention, to: &tangents.branch)
            tangents.addBranch(
                through: attentionOutputNorm, inputs: workspace.attentionOutputs[index], &workspace.branchOutputs)
        }
        if !isParallel, !attentionIsFixed {
            feedForwardNorm.formTangents(
                of: tangents.residual, inputs: workspace.residuals[entry + 1], workspace.feedForwardInputs,
                into: &tangents.feedForwardInputs)
        }
        let inputsAreFixed = isParallel ? residualIsFixed : attentionIsFixed
        tangents.branch.resize(rows: tangents.residual.rows, columns: tangents.residual.columns, filledWith: 0)
        feedForward.addTangents(
            along: direction, normalized: feedForwardInputs(in: workspace),
            normalizedTangents: inputsAreFixed
                ? nil : sharesNorm ? tangents.attentionInputs : tangents.feedForwardInputs,
            workspace.blocks[index].feedForward, &tangents.feedForward, to: &tangents.branch)
        tangents.addBranch(
            through: feedForwardOutputNorm, inputs: workspace.feedForwardOutputs[index], &workspace.branchOutputs)
    }
}

extension TangentWorkspace {
    /// Adds what attention or MLP gives to the residual stream.
    ///
    /// - Parameter activations: Room for the norm's pass, which is found again.
    fileprivate mutating func addBranch(
        through norm: Normalization?, inputs: Matrix, _ activations: inout Normalization.Activations
    ) {
        guard let norm else { return residual.add(branch) }
        norm.forward(inputs, appendingOne: false, &activations)
        norm.formTangents(of: branch, inputs: inputs, activations, into: &normalizedBranch)
        residual.add(normalizedBranch)
    }
}
