import LinearAlgebra

/// A decoder-only transformer with its weights.
public struct DecoderModel: Sendable {
    public internal(set) var description: DecoderDescription
    /// vocabulary × width
    public var tokenEmbedding: Matrix
    /// positions × width; nil if positions are not learned.
    public var positionEmbedding: Matrix?
    public var blocks: [DecoderBlock]
    public var finalNorm: Normalization
    /// vocabulary × width; nil if the token embedding is the head.
    public var untiedHead: Matrix?
    /// 1 × vocabulary
    public var headBias: Matrix?
    /// The head in half precision, which products use instead if it is set. Changes of the head do not update it.
    private(set) var halfHead: HalfMatrix?

    var head: OutputHead {
        OutputHead(
            weight: halfHead.map { .half($0.slice) } ?? .single((untiedHead ?? tokenEmbedding).slice), bias: headBias,
            cap: description.logitCap)
    }

    /// Whether its linear layers and its head multiply in half precision, as after ``inHalfPrecision()``.
    public var isInHalfPrecision: Bool { halfHead != nil }

    /// The same model, with shared weights, whose linear layers and head multiply values rounded to bfloat16 and sum in Float32.
    ///
    /// For sweeps: on processors that support such products, they can take a fraction of the time (``HalfMatrix/isSupported``). The rounded
    /// weights take half as much memory in addition. Training changes only the original weights.
    public func inHalfPrecision() -> DecoderModel {
        var model = self
        model.halfHead = HalfMatrix(untiedHead ?? tokenEmbedding)
        for index in model.blocks.indices { model.blocks[index].roundToHalfPrecision() }
        return model
    }

    /// Runs a micro-batch forward and backward, and passes every tracked layer's inputs and output gradients to the tap.
    ///
    /// - Parameters:
    ///   - batch: Sequences no longer than the context, of tokens within the vocabulary.
    ///   - workspace: The calling worker's own workspace.
    ///   - tracked: The layers that the tap receives; the backward pass ends at the lowest of them.
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

    /// The losses of a micro-batch, without gradients.
    public func losses(of batch: TokenBatch, in workspace: inout DecoderWorkspace) -> TokenLosses {
        forward(batch, in: &workspace)
        var none = NoTap()
        return TokenLoss.evaluate(
            hidden: workspace.finalNorm.outputs, head: head, batch: batch, &workspace.loss,
            gradients: &workspace.normalizedGradients, wantsGradients: false, tap: &none)
    }

    /// The logits at some positions of a micro-batch: positions × vocabulary.
    public func logits(of batch: TokenBatch, at positions: [Int], in workspace: inout DecoderWorkspace) -> Matrix {
        forward(batch, in: &workspace)
        var hidden = Matrix()
        hidden.gatherRows(positions, of: workspace.finalNorm.outputs)
        var logits = Matrix()
        head.formLogits(of: hidden.slice, into: &logits)
        return logits
    }

    func forward(_ batch: TokenBatch, in workspace: inout DecoderWorkspace) {
        workspace.prepare(blocks: blocks.count)
        workspace.prepareRotaryTables(description, batch)
        embed(batch, into: &workspace.residuals[0])
        for (index, block) in blocks.enumerated() {
            block.forward(batch, index, rotary: rotary(ofLayer: index, in: workspace), in: &workspace)
        }
        finalNorm.forward(workspace.residuals[2 * blocks.count], appendingOne: false, &workspace.finalNorm)
    }

    private func embed(_ batch: TokenBatch, into residual: inout Matrix) {
        residual.gatherRows(batch.tokens.map(Int.init), of: tokenEmbedding)
        if description.embeddingScale != 1 { residual.scale(by: description.embeddingScale) }
        if let positionEmbedding {
            for (row, position) in batch.positions.enumerated() {
                residual.addRow(Int(position), of: positionEmbedding, to: row)
            }
        }
    }

    func rotary(ofLayer layer: Int, in workspace: DecoderWorkspace) -> RotaryTable? {
        switch description.position {
        case .learned: nil
        case .rotary(_, .some) where description.window(ofLayer: layer) != nil: workspace.windowedRotary
        case .rotary: workspace.rotary
        }
    }

    func backward<Tap: GradientTap>(
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
            let depth: BackwardDepth =
                isLowest ? (tracked.reachesAttention ? .attention : .feedForward) : .input
            block.backward(
                batch, index, rotary: rotary(ofLayer: index, in: workspace), in: &workspace, depth: depth,
                tracked: tracked, tap: &tap)
            if isLowest { return }
        }
        if everything {
            if description.embeddingScale != 1 { workspace.residualGradients.scale(by: description.embeddingScale) }
            tap.record(EmbeddingPass(outputGradients: workspace.residualGradients, batch: batch))
        }
    }
}

/// For passes that only compute losses.
private struct NoTap: GradientTap {
    mutating func record(_ pass: LayerPass) {}
}

extension DecoderModel {
    /// The bytes that a forward pass keeps per token for the backward pass.
    private var activationBytesPerToken: Int {
        let values = blocks.reduce(0) { sum, block in
            let projected = block.attention.inputs.reduce(0) { $0 + $1.outputWidth }
            let inner = block.feedForward?.activationWidth ?? block.experts?.activationWidth ?? 0
            // Two residual streams are kept as well.
            return sum + 2 * description.width + projected + inner
        }
        return values * MemoryLayout<Float>.stride
    }

    /// The number of tokens in a sweep's micro-batch: as many as keep a worker's activations within 160 MB, but at least 256, below which
    /// products become slower, and at most 1,024, above which they become no faster.
    public var microBatchTokens: Int {
        min(max(160_000_000 / max(activationBytesPerToken, 1), 256), 1_024)
    }

    /// The bytes of the logits that exist at a time in a pass over this many tokens.
    ///
    /// - Parameter samplesLabels: Sampling labels needs the logits of the whole vocabulary together; other passes need one part of it at a
    ///   time.
    public func logitBytes(tokens: Int, samplesLabels: Bool) -> Int {
        TokenLoss.logitBytes(positions: tokens, vocabulary: description.vocabulary, samplesLabels: samplesLabels)
    }

    /// The bytes that are kept for each token of a text while it is continued: its keys and values in every layer.
    public var pastTokenBytes: Int {
        2 * description.layers * description.keyValueWidth * MemoryLayout<Float>.stride
    }
}

extension FeedForward {
    /// The values that a forward pass keeps per token.
    fileprivate var activationWidth: Int { up.outputWidth + (gate?.outputWidth ?? 0) }
}

extension MixtureOfExperts {
    /// The values that a forward pass keeps per token.
    fileprivate var activationWidth: Int {
        perToken * (experts.first?.activationWidth ?? 0) + (shared?.activationWidth ?? 0)
    }

    /// The expert of an MLP among ``feedForwards``; nil for the shared expert, through which all tokens go.
    fileprivate func trackedExpert(_ number: Int) -> TrackedLayer.Expert? {
        guard experts.indices.contains(number) else { return nil }
        let layer = experts[number].down.name
        let name = layer.lastIndex(of: ".").map { String(layer[..<$0]) } ?? layer
        return TrackedLayer.Expert(name: name, share: Double(perToken) / Double(experts.count))
    }
}

extension TrackedLayers {
    public init(of decoder: DecoderModel, _ selection: LayerSelection = .feedForward) {
        var layers: [TrackedLayer] = []
        var lowest: (block: Int, reachesAttention: Bool)?
        /// Adds the tracked layers among some that read the same inputs.
        ///
        /// - Parameter owners: The owners of these inputs, if there are any: of the layers, and of the adapters' A, which have no 1.
        func add(
            _ group: [LinearLayer], _ part: LayerSelection, of block: Int, owners: inout Owners,
            expert: TrackedLayer.Expert? = nil
        ) {
            func append(_ name: String, _ weight: Matrix, owner: Int?) {
                layers.append(
                    TrackedLayer(
                        index: layers.count, name: name, inputs: weight.columns, outputs: weight.rows,
                        inputOwner: owner ?? layers.count, expert: expert))
                if lowest == nil { lowest = (block, false) }
                if lowest?.block == block, part == .attention { lowest?.reachesAttention = true }
            }
            for layer in group {
                if selection.contains(part) {
                    owners.layers = owners.layers ?? layers.count
                    append(layer.name, layer.weight, owner: owners.layers)
                }
                if selection.contains(.adapter), let adapter = layer.adapter {
                    owners.adapters = owners.adapters ?? layers.count
                    append(adapter.downName, adapter.down, owner: owners.adapters)
                    append(adapter.upName, adapter.up, owner: nil)
                }
            }
        }
        for (index, block) in decoder.blocks.enumerated() {
            var (attention, output) = (Owners(), Owners())
            add(block.attention.inputs, .attention, of: index, owners: &attention)
            add([block.attention.output], .attention, of: index, owners: &output)
            for (number, feedForward) in block.feedForwards.enumerated() {
                var inputs = block.sharesNorm ? attention : Owners()
                var down = Owners()
                let expert = block.experts?.trackedExpert(number)
                add(
                    [feedForward.gate, feedForward.up].compactMap { $0 }, .feedForward, of: index, owners: &inputs,
                    expert: expert)
                add([feedForward.down], .feedForward, of: index, owners: &down, expert: expert)
            }
        }
        self.init(
            layers, selection: selection, lowestBlock: lowest?.block ?? decoder.blocks.count,
            reachesAttention: lowest?.reachesAttention ?? false)
    }

    /// The indices of the tracked layers that represent all with the same inputs.
    private struct Owners {
        var layers: Int?
        var adapters: Int?
    }
}

extension DecoderModel {
    /// The linear layers of all blocks, from the first block to the last, except those that no selection tracks.
    var linearLayers: [LinearLayer] { blocks.flatMap(\.linearLayers) }

    /// Whether any linear layer has an adapter.
    public var hasAdapters: Bool { linearLayers.contains { $0.adapter != nil } }

    mutating func updateLinearLayers(_ body: (inout LinearLayer) -> Void) {
        for index in blocks.indices {
            for input in blocks[index].attention.inputs.indices { body(&blocks[index].attention.inputs[input]) }
            body(&blocks[index].attention.output)
            blocks[index].updateFeedForwards { $0.updateLayers(body) }
        }
    }
}
