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
        if !attentionIsFixed {
            attentionNorm.formTangents(
                of: tangents.residual, inputs: workspace.residuals[entry], workspace.blocks[index].attentionNorm,
                into: &tangents.attentionInputs)
        }
        if isParallel, !sharesNorm, !residualIsFixed {
            feedForwardNorm.formTangents(
                of: tangents.residual, inputs: workspace.residuals[entry], workspace.blocks[index].feedForwardNorm,
                into: &tangents.feedForwardInputs)
        }
        if !attentionIsFixed {
            tangents.branch.resize(rows: tangents.residual.rows, columns: tangents.residual.columns, filledWith: 0)
            attention.addTangents(
                along: direction, normalized: workspace.blocks[index].attentionNorm.outputs,
                normalizedTangents: tangents.attentionInputs, batch: batch, rotary: rotary,
                workspace.blocks[index].attention, &workspace.attention, &tangents.attention, to: &tangents.branch)
            tangents.addBranch(
                through: attentionOutputNorm, inputs: workspace.attentionOutputs[index],
                workspace.blocks[index].attentionOutputNorm)
        }
        if !isParallel, !attentionIsFixed {
            feedForwardNorm.formTangents(
                of: tangents.residual, inputs: workspace.residuals[entry + 1],
                workspace.blocks[index].feedForwardNorm, into: &tangents.feedForwardInputs)
        }
        let inputsAreFixed = isParallel ? residualIsFixed : attentionIsFixed
        tangents.branch.resize(rows: tangents.residual.rows, columns: tangents.residual.columns, filledWith: 0)
        feedForward.addTangents(
            along: direction, normalized: feedForwardInputs(index, in: workspace),
            normalizedTangents: inputsAreFixed
                ? nil : sharesNorm ? tangents.attentionInputs : tangents.feedForwardInputs,
            workspace.blocks[index].feedForward, &tangents.feedForward, to: &tangents.branch)
        tangents.addBranch(
            through: feedForwardOutputNorm, inputs: workspace.feedForwardOutputs[index],
            workspace.blocks[index].feedForwardOutputNorm)
    }
}

extension TangentWorkspace {
    /// Adds what attention or MLP gives to the residual stream.
    fileprivate mutating func addBranch(
        through norm: Normalization?, inputs: Matrix, _ activations: Normalization.Activations
    ) {
        guard let norm else { return residual.add(branch) }
        norm.formTangents(of: branch, inputs: inputs, activations, into: &normalizedBranch)
        residual.add(normalizedBranch)
    }
}
