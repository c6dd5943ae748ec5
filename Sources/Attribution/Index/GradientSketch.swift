import Curvature
import LinearAlgebra
import Transformer

/// Compresses whole gradients, layer by layer, as an index of one layout keeps them.
struct GradientSketch: Sendable {
    let layout: SketchLayout
    let tracked: TrackedLayers
    let layers: [LayerSketch]
    let quantization: SketchQuantization

    init(factors: EKFACFactors, layout: SketchLayout) {
        self.layout = layout
        tracked = factors.tracked
        layers = factors.layers.enumerated().map { LayerSketch($1, layer: $0, layout: layout) }
        quantization = SketchQuantization(segments: max(layers.count, 1), values: layout.values)
    }

    /// A query, ready to be compared with sequences.
    func query(_ gradient: QueryGradient, damping: Double?) -> SketchQuantization.Query {
        var values = Matrix()
        values.resize(rows: 1, columns: layers.count * layout.values, filledWith: 0)
        values.withMutableSpan { span in
            for (index, layer) in layers.enumerated() {
                layer.fold(gradient.layers[index], damping: damping, into: &span, from: index * layout.values)
            }
        }
        return values.withSpan { quantization.query(of: $0) }
    }
}

/// Sketches the gradient of each sequence of a batch.
///
/// Tokens are rotated for the whole batch at once, and inputs once for all layers that read them. Beside the passes through
/// the model that is `T leading (in + out + leading)` multiply-adds a layer for T tokens.
struct SketchTap: GradientTap, Sendable {
    /// A record a sequence of the last batch, in the batch's order.
    private(set) var records: [[UInt8]] = []

    private let sketch: GradientSketch
    /// sequences × (layers · values)
    private var values = Matrix()
    private var isStarted = false
    private var inputs = Matrix()
    private var inputsOwner: Int?
    private var gradients = Matrix()
    private var block = Matrix()

    init(_ sketch: GradientSketch) {
        self.sketch = sketch
    }

    mutating func record(_ pass: LayerPass) {
        let width = sketch.layers.count * sketch.layout.values
        if !isStarted {
            values.resize(rows: pass.batch.sequences.count, columns: width, filledWith: 0)
            isStarted = true
        }
        let layer = sketch.layers[pass.layer.index]
        if inputsOwner != pass.layer.inputOwner {
            inputs.formProduct(pass.inputs, layer.activationVectors.slice)  // tokens × leading
            inputsOwner = pass.layer.inputOwner
        }
        gradients.formProduct(pass.outputGradients, layer.gradientVectors.slice)
        for (index, rows) in pass.batch.sequences.enumerated() {
            block.formProduct(gradients[rows: rows].transposed, inputs[rows: rows])
            let start = index * width + pass.layer.index * sketch.layout.values
            values.withMutableSpan { layer.fold(block, into: &$0, from: start) }
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        let width = sketch.layers.count * sketch.layout.values
        records = batch.sequences.indices.map { index in
            values.withSpan { sketch.quantization.record(of: $0.extracting((index * width)..<((index + 1) * width))) }
        }
        isStarted = false
        inputsOwner = nil
    }
}
