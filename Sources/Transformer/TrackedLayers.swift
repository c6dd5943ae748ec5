import LinearAlgebra

/// The linear layers of a model whose gradients are consumed, from the first block to the last.
public struct TrackedLayers: Sendable, Equatable {
    public let selection: LayerSelection
    public let layers: [TrackedLayer]
    /// The first block that has a tracked layer.
    let lowestBlock: Int
    private let byName: [String: Int]

    public init(of decoder: DecoderModel, _ selection: LayerSelection = .feedForward) {
        var layers: [TrackedLayer] = []
        func add(_ group: [LinearLayer], owner: Int? = nil) {
            let owner = owner ?? layers.count
            for layer in group {
                layers.append(
                    TrackedLayer(
                        index: layers.count, name: layer.name, inputs: layer.weight.columns, outputs: layer.weight.rows,
                        inputOwner: owner))
            }
        }
        for block in decoder.blocks {
            var attentionOwner: Int?
            if selection.contains(.attention) {
                attentionOwner = layers.count
                add(block.attention.inputs)
                add([block.attention.output])
            }
            if selection.contains(.feedForward) {
                add(
                    [block.feedForward.gate, block.feedForward.up].compactMap { $0 },
                    owner: block.sharesNorm ? attentionOwner : nil)
                add([block.feedForward.down])
            }
        }
        self.selection = selection
        self.layers = layers
        lowestBlock = selection.isEmpty ? decoder.blocks.count : 0
        byName = Dictionary(uniqueKeysWithValues: layers.map { ($0.name, $0.index) })
    }

    /// The tracked layer of a name, if there is one.
    public subscript(name: String) -> TrackedLayer? { byName[name].map { layers[$0] } }

    /// Hands a layer's pass to the tap if the layer is tracked.
    func offer<Tap: GradientTap>(
        _ layer: LinearLayer, inputs: MatrixSlice, outputGradients: MatrixSlice, _ batch: TokenBatch, to tap: inout Tap
    ) {
        guard let tracked = self[layer.name] else { return }
        tap.record(LayerPass(layer: tracked, inputs: inputs, outputGradients: outputGradients, batch: batch))
    }
}
