import LinearAlgebra

/// The matrices of one worker's tangent passes, which are reused for each micro-batch. A tangent is the derivative of a value along
/// a direction of the tracked parameters.
public struct TangentWorkspace: Sendable {
    /// tokens × width: the tangents of the residual stream, at the point that the pass has reached.
    var residual = Matrix()
    /// tokens × width: the tangents of the inputs and outputs of attention and MLP.
    var attentionInputs = Matrix()
    var feedForwardInputs = Matrix()
    var branch = Matrix()
    var normalizedBranch = Matrix()
    var hidden = Matrix()
    var attention = Attention.Tangents()
    var feedForward = FeedForward.Tangents()
    var experts = MixtureOfExperts.Tangents()
    var loss = TokenLoss.Tangents()

    public init() {}
}

/// A direction of the tracked parameters, by layer.
struct TangentDirection {
    let vector: ParameterVector
    let tracked: TrackedLayers

    /// `dW` of a layer; nil for layers that are not tracked, which do not change.
    subscript(layer: LinearLayer) -> Matrix? {
        if let own = tracked[layer.name] { return vector.layers[own.index] }
        guard let adapter = layer.adapter, let down = tracked[adapter.downName], let up = tracked[adapter.upName] else {
            return nil
        }
        return adapter.productTangent(
            down: vector.layers[down.index], up: vector.layers[up.index], columns: layer.weight.columns)
    }
}

extension DecoderBlock {
    /// Turns the tangents of the residual stream before the block into those after it, in place.
    ///
    /// - Parameter residualIsFixed: Whether the stream before the block is constant along the direction, as before the first block.
    func applyTangents(
        along direction: TangentDirection, _ batch: TokenBatch, _ index: Int, rotary: RotaryTable?,
        in workspace: inout DecoderWorkspace, tangents: inout TangentWorkspace, residualIsFixed: Bool
    ) {
        let entry = 2 * index
        // Everything below the lowest tracked layer is constant.
        let attentionIsFixed = residualIsFixed && !direction.tracked.reachesAttention
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
                activations: workspace.blocks[index].attention, scratch: &workspace.attention,
                tangents: &tangents.attention, to: &tangents.branch)
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
        let inputTangents =
            inputsAreFixed ? nil : sharesNorm ? tangents.attentionInputs : tangents.feedForwardInputs
        feedForward?.addTangents(
            along: direction, normalized: feedForwardInputs(in: workspace), normalizedTangents: inputTangents,
            activations: workspace.blocks[index].feedForward, tangents: &tangents.feedForward, to: &tangents.branch)
        experts?.addTangents(
            along: direction, normalized: feedForwardInputs(in: workspace), normalizedTangents: inputTangents,
            activations: workspace.blocks[index].experts, tangents: &tangents.experts,
            feedForward: &tangents.feedForward, to: &tangents.branch)
        tangents.addBranch(
            through: feedForwardOutputNorm, inputs: workspace.feedForwardOutputs[index], &workspace.branchOutputs)
    }
}

extension TangentWorkspace {
    /// Adds the outputs of attention or MLP to the residual stream.
    ///
    /// - Parameter activations: Scratch memory for the norm's forward pass, which is computed again.
    fileprivate mutating func addBranch(
        through norm: Normalization?, inputs: Matrix, _ activations: inout Normalization.Activations
    ) {
        guard let norm else { return residual.add(branch) }
        norm.forward(inputs, appendingOne: false, &activations)
        norm.formTangents(of: branch, inputs: inputs, activations, into: &normalizedBranch)
        residual.add(normalizedBranch)
    }
}

extension Attention {
    /// The tangents of one block's attention.
    struct Tangents {
        /// tokens × (queries + keys + values)
        var projected = Matrix()
        /// tokens × queries
        var mixed = Matrix()
        /// query rows × keys
        var weights = Matrix()
        var norm = QueryKeyNormalization.Tangents()
    }

    /// Adds the tangents of attention's outputs.
    ///
    /// The softmax's Jacobian is symmetric, and soft cap and clamp act on each entry separately: for these, the step of the backward
    /// pass also computes tangents.
    func addTangents(
        along direction: TangentDirection, normalized: Matrix, normalizedTangents: Matrix, batch: TokenBatch,
        rotary: RotaryTable?, activations: Activations, scratch: inout Scratch, tangents: inout Tangents,
        to outputs: inout Matrix
    ) {
        projectTangents(
            along: direction, of: normalized, normalizedTangents, activations: activations, tangents: &tangents)
        for vectors in [layout.queries, layout.keys] {
            rotary?.apply(to: &tangents.projected, vectors, positions: batch.positions)
        }
        prepareMixed(rows: normalized.rows, &scratch)
        tangents.mixed.resize(rows: normalized.rows, columns: output.inputWidth)
        forEachBlock(of: batch) { block in
            attendTangents(
                block, from: Parts(of: activations.projected, block), changes: Parts(of: tangents.projected, block),
                scratch: &scratch, tangents: &tangents)
        }
        output.addTangents(
            along: direction, inputs: scratch.mixed, inputTangents: tangents.mixed, to: &outputs)
    }

    private func projectTangents(
        along direction: TangentDirection, of normalized: Matrix, _ normalizedTangents: Matrix,
        activations: Activations, tangents: inout Tangents
    ) {
        tangents.projected.resize(rows: normalized.rows, columns: layout.width, filledWith: 0)
        var column = 0
        for layer in inputs {
            layer.addTangents(
                along: direction, inputs: normalized, inputTangents: normalizedTangents, to: &tangents.projected,
                column: column)
            column += layer.outputWidth
        }
        if let projectionLimit {
            tangents.projected.applyClampGradient(inputs: activations.unlimited, limit: projectionLimit)
        }
        queryNorm?.applyTangents(
            to: &tangents.projected, layout.queries, activations: activations.queryNorm, tangents: &tangents.norm)
        keyNorm?.applyTangents(
            to: &tangents.projected, layout.keys, activations: activations.keyNorm, tangents: &tangents.norm)
    }

    /// Writes the tangents of a block's weighted values: `dP V + P dV`, where P is the softmax of the scores.
    private func attendTangents(
        _ block: Block, from parts: Parts, changes: Parts, scratch: inout Scratch, tangents: inout Tangents
    ) {
        scratch.weights.formProduct(parts.queries, parts.keys.transposed)
        tangents.weights.formProduct(changes.queries, parts.keys.transposed)
        tangents.weights.addProduct(parts.queries, changes.keys.transposed)
        if let scoreCap {
            scratch.weights.applySoftCap(scoreCap, scale: scale)
            tangents.weights.applySoftCapGradient(capped: scratch.weights, cap: scoreCap, scale: scale)
        }
        applySoftmax(to: &scratch.weights, block)
        mix(parts.values, of: block, scratch: &scratch)
        tangents.weights.applySoftmaxGradient(probabilities: scratch.weights, scale: softmaxScale)
        tangents.mixed.setBlock(
            row: block.queries.lowerBound, column: block.mixedColumns.lowerBound, toProduct: tangents.weights.slice,
            parts.values)
        tangents.mixed.setBlock(
            row: block.queries.lowerBound, column: block.mixedColumns.lowerBound, toProduct: scratch.weights.slice,
            changes.values, adding: true)
    }
}
