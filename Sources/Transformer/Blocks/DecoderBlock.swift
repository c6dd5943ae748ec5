import LinearAlgebra

/// Attention and MLP, which both add to the residual stream. Each can have a norm before it and a norm after it.
public struct DecoderBlock: Sendable {
    public var attentionNorm: Normalization?
    public var attention: Attention
    public var attentionOutputNorm: Normalization?
    /// If it is nil and the MLP is parallel to attention, both read the outputs of ``attentionNorm``.
    public var feedForwardNorm: Normalization?
    /// nil in a block with a mixture of experts.
    public var feedForward: FeedForward?
    /// The mixture of experts in place of a single MLP.
    public var experts: MixtureOfExperts?
    public var feedForwardOutputNorm: Normalization?
    /// Whether the MLP reads the residual stream before attention rather than after it.
    let isParallel: Bool
}

/// How far down a backward pass goes in a block.
enum BackwardDepth {
    /// To the layers of the MLP.
    case feedForward
    /// To the layers of attention.
    case attention
    /// To the block's input.
    case input
}

extension DecoderBlock {
    /// Makes every linear layer multiply in half precision.
    mutating func roundToHalfPrecision() {
        attention.inputs = attention.inputs.map(\.inHalfPrecision)
        attention.output = attention.output.inHalfPrecision
        // A mixture's router stays in single precision: rounding would send tokens to other experts.
        updateFeedForwards { feedForward in feedForward.updateLayers { $0 = $0.inHalfPrecision } }
    }

    /// The block's MLP, or those of its experts.
    var feedForwards: [FeedForward] { experts?.feedForwards ?? [feedForward].compactMap { $0 } }

    /// Calls the body for the block's MLP, or for those of its experts, which it can change.
    mutating func updateFeedForwards(_ body: (inout FeedForward) -> Void) {
        func update(_ optional: inout FeedForward?) {
            guard var feedForward = optional.take() else { return }
            body(&feedForward)
            optional = feedForward
        }
        update(&feedForward)
        guard var experts = experts.take() else { return }
        for index in experts.experts.indices { body(&experts.experts[index]) }
        update(&experts.shared)
        self.experts = experts
    }

    /// The block's linear layers, except those that no selection tracks.
    var linearLayers: [LinearLayer] {
        attention.inputs + [attention.output] + feedForwards.flatMap(\.layers)
    }

    /// Whether attention and MLP read the same normalised values.
    var sharesNorm: Bool { isParallel && feedForwardNorm == nil }

    /// Reads the residual stream before the block, and writes the streams after attention and after the MLP.
    func forward(
        _ batch: TokenBatch, _ index: Int, rotary: RotaryTable?, in workspace: inout DecoderWorkspace
    ) {
        // Both residual sums are kept: the norms' backward passes need them.
        let entry = 2 * index
        readAttentionInputs(index, in: &workspace)
        workspace.residuals[entry + 1].copyValues(of: workspace.residuals[entry])
        if let attentionOutputNorm {
            attention.forward(
                workspace.attentionInputs.outputs, batch: batch, rotary: rotary,
                activations: &workspace.blocks[index].attention, scratch: &workspace.attention,
                to: &workspace.attentionOutputs[index], adding: false)
            attentionOutputNorm.forward(
                workspace.attentionOutputs[index], appendingOne: false, &workspace.branchOutputs)
            workspace.residuals[entry + 1].add(workspace.branchOutputs.outputs)
        } else {
            attention.forward(
                workspace.attentionInputs.outputs, batch: batch, rotary: rotary,
                activations: &workspace.blocks[index].attention, scratch: &workspace.attention,
                to: &workspace.residuals[entry + 1], adding: true)
        }
        if !sharesNorm { readFeedForwardInputs(index, in: &workspace) }
        workspace.residuals[entry + 2].copyValues(of: workspace.residuals[entry + 1])
        if let feedForwardOutputNorm {
            formFeedForward(
                of: feedForwardInputs(in: workspace), activations: &workspace.blocks[index], &workspace.feedForward,
                &workspace.experts, to: &workspace.feedForwardOutputs[index], adding: false)
            feedForwardOutputNorm.forward(
                workspace.feedForwardOutputs[index], appendingOne: false, &workspace.branchOutputs)
            workspace.residuals[entry + 2].add(workspace.branchOutputs.outputs)
        } else {
            formFeedForward(
                of: feedForwardInputs(in: workspace), activations: &workspace.blocks[index], &workspace.feedForward,
                &workspace.experts, to: &workspace.residuals[entry + 2], adding: true)
        }
    }

    /// Runs the MLP or the mixture of experts forward, and writes or adds its outputs.
    private func formFeedForward(
        of inputs: Matrix, activations: inout DecoderWorkspace.BlockActivations, _ scratch: inout FeedForward.Scratch,
        _ expertScratch: inout MixtureOfExperts.Scratch, to outputs: inout Matrix, adding: Bool
    ) {
        feedForward?.forward(
            inputs, activations: &activations.feedForward, scratch: &scratch, to: &outputs, adding: adding)
        experts?.forward(
            inputs, activations: &activations.experts, scratch: &expertScratch, feedForward: &scratch, to: &outputs,
            adding: adding)
    }

    /// Computes the inputs of attention. The backward pass calls it again, which saves keeping them for every block.
    func readAttentionInputs(_ index: Int, in workspace: inout DecoderWorkspace) {
        attentionNorm.read(
            workspace.residuals[2 * index], appendingOne: attention.inputs.first?.hasBias ?? false,
            &workspace.attentionInputs)
    }

    /// Computes the inputs of the MLP, where these are not those of attention.
    func readFeedForwardInputs(_ index: Int, in workspace: inout DecoderWorkspace) {
        feedForwardNorm.read(
            workspace.residuals[isParallel ? 2 * index : 2 * index + 1], appendingOne: feedForward?.up.hasBias ?? false,
            &workspace.feedForwardInputs)
    }

    /// Turns the gradients of the residual stream after the block into those before it, in place.
    func backward<Tap: GradientTap>(
        _ batch: TokenBatch, _ index: Int, rotary: RotaryTable?, in workspace: inout DecoderWorkspace,
        depth: BackwardDepth, tracked: TrackedLayers, tap: inout Tap
    ) {
        let entry = 2 * index
        if let feedForwardOutputNorm {
            workspace.branchGradients.becomeGradients(
                through: feedForwardOutputNorm, workspace.residualGradients,
                inputs: workspace.feedForwardOutputs[index], &workspace.branchOutputs, tap: &tap)
        }
        if sharesNorm {
            readAttentionInputs(index, in: &workspace)
        } else {
            readFeedForwardInputs(index, in: &workspace)
        }
        feedForward?.backward(
            feedForwardOutputNorm == nil ? workspace.residualGradients : workspace.branchGradients,
            normalized: feedForwardInputs(in: workspace), batch: batch,
            activations: workspace.blocks[index].feedForward, scratch: &workspace.feedForward,
            into: &workspace.feedForwardInputGradients,
            needsInputGradients: depth != .feedForward, tracked: tracked, tap: &tap)
        experts?.backward(
            feedForwardOutputNorm == nil ? workspace.residualGradients : workspace.branchGradients,
            normalized: feedForwardInputs(in: workspace), batch: batch,
            activations: workspace.blocks[index].experts, scratch: &workspace.experts,
            feedForward: &workspace.feedForward, into: &workspace.feedForwardInputGradients,
            needsInputGradients: depth != .feedForward, tracked: tracked, tap: &tap)
        if depth == .feedForward { return }
        // In a parallel block, the gradients of the MLP's inputs must not reach the output of attention.
        if !isParallel {
            feedForwardNorm.addGradients(
                workspace.feedForwardInputGradients, inputs: workspace.residuals[entry + 1],
                workspace.feedForwardInputs, to: &workspace.residualGradients, tap: &tap)
        }
        if let attentionOutputNorm {
            workspace.branchGradients.becomeGradients(
                through: attentionOutputNorm, workspace.residualGradients, inputs: workspace.attentionOutputs[index],
                &workspace.branchOutputs, tap: &tap)
        }
        if !sharesNorm { readAttentionInputs(index, in: &workspace) }
        attention.backward(
            attentionOutputNorm == nil ? workspace.residualGradients : workspace.branchGradients,
            normalized: workspace.attentionInputs.outputs, batch: batch, rotary: rotary,
            activations: workspace.blocks[index].attention, scratch: &workspace.attention,
            into: &workspace.normalizedGradients,
            tracked: tracked, tap: &tap)
        if depth == .attention { return }
        if sharesNorm {
            workspace.normalizedGradients.add(workspace.feedForwardInputGradients)
        } else if isParallel {
            feedForwardNorm.addGradients(
                workspace.feedForwardInputGradients, inputs: workspace.residuals[entry], workspace.feedForwardInputs,
                to: &workspace.residualGradients, tap: &tap)
        }
        attentionNorm.addGradients(
            workspace.normalizedGradients, inputs: workspace.residuals[entry], workspace.attentionInputs,
            to: &workspace.residualGradients, tap: &tap)
    }

    /// The inputs of the MLP in the block that was read last.
    func feedForwardInputs(in workspace: DecoderWorkspace) -> Matrix {
        sharesNorm ? workspace.attentionInputs.outputs : workspace.feedForwardInputs.outputs
    }
}

extension Normalization? {
    /// The inputs of a part of a block: the normalised residual stream, or the stream itself if there is no norm.
    fileprivate func read(_ residual: Matrix, appendingOne: Bool, _ activations: inout Normalization.Activations) {
        if let self {
            self.forward(residual, appendingOne: appendingOne, &activations)
        } else if appendingOne {
            activations.outputs.resize(rows: residual.rows, columns: residual.columns + 1)
            activations.outputs.copy(residual.slice, toRow: 0, column: 0)
            activations.outputs.fillColumn(residual.columns, with: 1)
        } else {
            activations.outputs.copyValues(of: residual)
        }
    }

    /// Adds the gradients with respect to the residual stream that was read.
    fileprivate func addGradients<Tap: GradientTap>(
        _ gradients: Matrix, inputs: Matrix, _ activations: Normalization.Activations,
        to residualGradients: inout Matrix, tap: inout Tap
    ) {
        if let self {
            self.backward(gradients, inputs: inputs, activations, addingTo: &residualGradients, tap: &tap)
        } else {
            residualGradients.add(gradients)
        }
    }
}

extension Matrix {
    /// Becomes the gradients of a norm's inputs.
    ///
    /// - Parameter activations: Scratch memory for the norm's forward pass, which is computed again.
    fileprivate mutating func becomeGradients<Tap: GradientTap>(
        through norm: Normalization, _ outputGradients: Matrix, inputs: Matrix,
        _ activations: inout Normalization.Activations, tap: inout Tap
    ) {
        norm.forward(inputs, appendingOne: false, &activations)
        resize(rows: inputs.rows, columns: inputs.columns, filledWith: 0)
        norm.backward(outputGradients, inputs: inputs, activations, addingTo: &self, tap: &tap)
    }
}
