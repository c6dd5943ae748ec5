import LinearAlgebra

/// A decoder-only transformer with its weights.
public struct DecoderModel: Sendable {
    public let description: DecoderDescription
    /// vocabulary × width
    public var tokenEmbedding: Matrix
    /// positions × width, where positions are learned.
    public var positionEmbedding: Matrix?
    public var blocks: [Block]
    public var finalNorm: Normalization
    /// vocabulary × width; nil where the token embedding serves as the head.
    public var untiedHead: Matrix?
    let rotary: Rotary?

    public struct Block: Sendable {
        public var attentionNorm: Normalization
        public var attention: Attention
        public var feedForwardNorm: Normalization
        public var feedForward: FeedForward
    }

    init(
        description: DecoderDescription, tokenEmbedding: Matrix, positionEmbedding: Matrix?, blocks: [Block],
        finalNorm: Normalization, untiedHead: Matrix?
    ) {
        self.description = description
        self.tokenEmbedding = tokenEmbedding
        self.positionEmbedding = positionEmbedding
        self.blocks = blocks
        self.finalNorm = finalNorm
        self.untiedHead = untiedHead
        rotary =
            if case .rotary(let base) = description.position {
                Rotary(base: base, headWidth: description.headWidth, positions: description.contextLength)
            } else {
                nil
            }
    }

    var head: Matrix { untiedHead ?? tokenEmbedding }

    /// Runs a batch forward and backward, and lets the tap have every tracked layer's inputs and output gradients.
    ///
    /// - Parameters:
    ///   - batch: Sequences no longer than the context, of tokens within the vocabulary.
    ///   - workspace: The calling worker's own.
    ///   - tracked: The layers that the tap wants; the backward pass ends at the lowest of them.
    /// - Returns: The loss of each position.
    @discardableResult
    public func run<Tap: GradientTap>(
        _ batch: TokenBatch, in workspace: inout DecoderWorkspace, tracked: TrackedLayers, tap: inout Tap
    ) -> TokenLosses {
        forward(batch, in: &workspace)
        let losses = TokenLoss.evaluate(
            hidden: workspace.finalNorm.outputs, head: head, batch: batch, &workspace.loss,
            gradients: &workspace.normalizedGradients, wantsGradients: true, tap: &tap)
        backward(batch, in: &workspace, tracked: tracked, tap: &tap)
        tap.finish(batch)
        return losses
    }

    /// The losses of a batch, without gradients.
    public func losses(of batch: TokenBatch, in workspace: inout DecoderWorkspace) -> TokenLosses {
        forward(batch, in: &workspace)
        var none = NoTap()
        return TokenLoss.evaluate(
            hidden: workspace.finalNorm.outputs, head: head, batch: batch, &workspace.loss,
            gradients: &workspace.normalizedGradients, wantsGradients: false, tap: &none)
    }

    /// The logits at some positions of a batch: positions × vocabulary.
    public func logits(of batch: TokenBatch, at positions: [Int], in workspace: inout DecoderWorkspace) -> Matrix {
        forward(batch, in: &workspace)
        var hidden = Matrix()
        hidden.gatherRows(positions, of: workspace.finalNorm.outputs)
        var logits = Matrix()
        logits.formProduct(hidden.slice, head.transposed)
        return logits
    }

    private func forward(_ batch: TokenBatch, in workspace: inout DecoderWorkspace) {
        workspace.prepare(blocks: blocks.count)
        embed(batch, into: &workspace.residuals[0])
        for (index, block) in blocks.enumerated() {
            // Both residual sums are kept: the norms' backward passes need them.
            let entry = 2 * index
            block.attentionNorm.forward(
                workspace.residuals[entry], appendingOne: block.attention.inputs[0].hasBias,
                &workspace.blocks[index].attentionNorm)
            workspace.residuals[entry + 1].copyValues(of: workspace.residuals[entry])
            block.attention.forward(
                workspace.blocks[index].attentionNorm.outputs, batch: batch, rotary: rotary,
                &workspace.blocks[index].attention, &workspace.attention,
                addingTo: &workspace.residuals[entry + 1])
            block.feedForwardNorm.forward(
                workspace.residuals[entry + 1], appendingOne: block.feedForward.up.hasBias,
                &workspace.blocks[index].feedForwardNorm)
            workspace.residuals[entry + 2].copyValues(of: workspace.residuals[entry + 1])
            block.feedForward.forward(
                workspace.blocks[index].feedForwardNorm.outputs, &workspace.blocks[index].feedForward,
                addingTo: &workspace.residuals[entry + 2])
        }
        finalNorm.forward(workspace.residuals[2 * blocks.count], appendingOne: false, &workspace.finalNorm)
    }

    private func embed(_ batch: TokenBatch, into residual: inout Matrix) {
        residual.gatherRows(batch.tokens.map(Int.init), of: tokenEmbedding)
        if let positionEmbedding {
            for (row, position) in batch.positions.enumerated() {
                residual.addRow(Int(position), of: positionEmbedding, to: row)
            }
        }
    }

    private func backward<Tap: GradientTap>(
        _ batch: TokenBatch, in workspace: inout DecoderWorkspace, tracked: TrackedLayers, tap: inout Tap
    ) {
        let everything = tap.needsEveryParameter
        workspace.residualGradients.resize(rows: batch.tokens.count, columns: description.width, filledWith: 0)
        finalNorm.backward(
            workspace.normalizedGradients, inputs: workspace.residuals[2 * blocks.count], workspace.finalNorm,
            addingTo: &workspace.residualGradients, tap: &tap)
        for (index, block) in blocks.enumerated().reversed() {
            guard everything || index >= tracked.lowestBlock else { return }
            let isLowest = !everything && index == tracked.lowestBlock
            let endsAtFeedForward = isLowest && !tracked.selection.contains(.attention)
            let entry = 2 * index
            block.feedForward.backward(
                workspace.residualGradients, normalized: workspace.blocks[index].feedForwardNorm.outputs, batch: batch,
                workspace.blocks[index].feedForward, &workspace.feedForward, into: &workspace.normalizedGradients,
                needsInputGradients: !endsAtFeedForward, tracked: tracked, tap: &tap)
            if endsAtFeedForward { return }
            block.feedForwardNorm.backward(
                workspace.normalizedGradients, inputs: workspace.residuals[entry + 1],
                workspace.blocks[index].feedForwardNorm, addingTo: &workspace.residualGradients, tap: &tap)
            block.attention.backward(
                workspace.residualGradients, normalized: workspace.blocks[index].attentionNorm.outputs, batch: batch,
                rotary: rotary, workspace.blocks[index].attention, &workspace.attention,
                into: &workspace.normalizedGradients, tracked: tracked, tap: &tap)
            if isLowest { return }
            block.attentionNorm.backward(
                workspace.normalizedGradients, inputs: workspace.residuals[entry],
                workspace.blocks[index].attentionNorm, addingTo: &workspace.residualGradients, tap: &tap)
        }
        if everything {
            tap.record(EmbeddingPass(outputGradients: workspace.residualGradients, batch: batch))
        }
    }
}

/// Consumes nothing: for passes that want losses alone.
private struct NoTap: GradientTap {
    mutating func record(_ pass: LayerPass) {}
}
