import Curvature
import LinearAlgebra
import Transformer

/// Compresses whole gradients, layer by layer, as an index of one layout keeps them.
struct GradientSketch: Sendable {
    let layout: SketchLayout
    let tracked: TrackedLayers
    let layers: [LayerSketch]
    let signs: SignSketch

    init(factors: EKFACFactors, layout: SketchLayout) {
        self.layout = layout
        tracked = factors.tracked
        layers = factors.layers.enumerated().map { LayerSketch($1, layer: $0, layout: layout) }
        signs = SignSketch(segments: max(layers.count, 1), entries: layout.signs)
    }

    /// A query, ready to be compared with sequences.
    ///
    /// With a damping of its own, what is estimated is in a unit of its own as well: estimates of one query can be compared with each other
    /// alone.
    func query(_ gradient: QueryGradient, damping: Double?) -> SignSketch.Query {
        let largest = damping.map { damping in layers.reduce(0) { max($0, $1.largestGain(ofDamping: damping)) } } ?? 1
        let unit = largest > 0 ? largest : 1
        var entries = Matrix(rows: 1, columns: signs.segments * layout.signs)
        entries.withMutableSpan { span in
            for (index, layer) in layers.enumerated() {
                layer.write(
                    gradient.layers[index], damping: damping, unit: unit, into: &span, from: index * layout.signs)
            }
        }
        return entries.withSpan { signs.query(of: $0) }
    }
}

/// Sketches the gradient of each sequence of a batch.
///
/// Tokens are rotated for the whole batch at once, and inputs once for all layers that read them. Beside the passes through
/// the model that is `T leading (in + out + leading)` multiply-adds a layer for T tokens, and a transform of leading² coordinates a sequence.
struct SketchTap: GradientTap, Sendable {
    /// A record a sequence of the last batch, in the batch's order.
    private(set) var records: [[UInt8]] = []

    var tracked: TrackedLayers { sketch.tracked }

    private let sketch: GradientSketch
    /// sequences × (layers · signs)
    private var entries = Matrix()
    private var isStarted = false
    private var inputs = Matrix()
    private var inputsOwner: Int?
    private var gradients = Matrix()
    private var block = Matrix()
    private var scratch = Matrix()

    init(_ sketch: GradientSketch) {
        self.sketch = sketch
    }

    mutating func record(_ pass: LayerPass) {
        let width = sketch.layers.count * sketch.layout.signs
        if !isStarted {
            entries.resize(rows: pass.batch.sequences.count, columns: width)
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
            let start = index * width + pass.layer.index * sketch.layout.signs
            entries.withMutableSpan { layer.write(block, &scratch, into: &$0, from: start) }
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        let width = sketch.layers.count * sketch.layout.signs
        records = batch.sequences.indices.map { index in
            entries.withSpan { sketch.signs.record(of: $0.extracting((index * width)..<((index + 1) * width))) }
        }
        isStarted = false
        inputsOwner = nil
    }
}
